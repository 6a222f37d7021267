-- Has wrk ask for COUNT runs in no order, whose ids are %08x of a number, from 0 on in steps of STEP:
-- load.lua TOKEN COUNT STEP
local requests, count, at = {}, 0, 0

function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  count = tonumber(args[2])
  local step = tonumber(args[3])
  for i = 0, count - 1 do
    local path = "/v1/projects/default-project/jobs/example-job/runs/%08x-35bd-4c71-8e7c-e36999b88723"
    requests[i] = wrk.format("GET", string.format(path, (i * 7919) % count * step))
  end
end

function request()
  at = (at + 1) % count
  return requests[at]
end
