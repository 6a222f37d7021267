-- Has wrk ask for one run after the other, whose ids are %08x of a number from FIRST on, spread in no order over COUNT of
-- them: load.lua TOKEN FIRST COUNT
local requests, count, at = {}, 0, 0

function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  local first = tonumber(args[2])
  count = tonumber(args[3])
  for i = 0, count - 1 do
    local path = "/v1/projects/default-project/jobs/example-job/runs/%08x-35bd-4c71-8e7c-e36999b88723"
    requests[i] = wrk.format("GET", string.format(path, first + (i * 7919) % count))
  end
end

function request()
  at = (at + 1) % count
  return requests[at]
end
