package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// runs are the responses by the run's id.
var runs = map[string]struct {
	status  int
	body    string
	headers map[string]string
}{
	"documented": {
		200,
		`{"data": {"id": "d34582a4-35bd-4c71-8e7c-e36999b88723", "active": 0, "backoffLimit": 0, "completions": 1,
		"concluded": true, "failed": 0, "runName": "example-job-5fcf67bc56e1913e21d49504", "status": "SUCCESS",
		"succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`,
		nil,
	},
	"running": {200, `{"data": {"id": "running", "active": 1, "backoffLimit": 3, "completions": 0, "concluded": false,
		"failed": 0, "runName": "no", "status": "RUNNING", "succeeded": 0, "concludedAt": null,
		"startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"newer": {200, `{"data": {"priority": 1e3, "id": "0018", "status": "PAUSED & <waiting>", "runName": "? x",
		"concluded": true, "startedAt": null, "concludedAt": "2020-12-08T11:52:08Z", "tags": ["no", {"no": "=", "none": []}]}}`, nil},
	"bare": {200, `{"data": {"id": "bare", "status": "RUNNING"}}`, nil},
	"evil": {200, `{"data": {"id": "evil", "runName": "\u001b[31mred\u202e\nStatus SUCCESS", "status": "\u001b[2J",
		"startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"evil-error": {500, `{"error": {"message": "\u001b[31mred\r\n"}}`, nil},
	"forbidden":  {403, `{"error": {"status": 403, "message": "lacks the permission", "id": "req-1"}}`, nil},
	"limited": {
		429,
		`{"error": {"status": 429, "message": "slow down", "id": "req-1"}}`,
		map[string]string{"Retry-After": "3600"},
	},
	"limited-too": {429, `{"error": {"message": "slow down"}}`, map[string]string{"X-RateLimit-Reset": "3600"}},
	"broken":      {500, `{"error": {"status": 500, "message": "internal server error", "id": "req-1"}}`, nil},
	"html":        {200, `<html><h1>Log in</h1>`, map[string]string{"Content-Type": "text/html"}},
	"redirect":    {302, "", map[string]string{"Location": "http://127.0.0.1:1/"}},
	"missing":     {404, `{"error": {"status": 404, "message": "not found", "id": "req-1"}}`, nil},
	"retried": {200, `{"data": {"id": "running", "active": 1, "backoffLimit": 3, "completions": 1, "concluded": false,
		"failed": 0, "runName": "no", "status": "RUNNING", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"lost": {200, `{"data": {"id": "lost", "active": 0, "backoffLimit": 2, "completions": 3, "concluded": true,
		"failed": 1, "runName": "nightly-3", "status": "FAILED", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`, nil},
	"failed": {200, `{"data": {"id": "running", "active": 0, "backoffLimit": 0, "completions": 1, "concluded": true,
		"failed": 1, "runName": "no", "status": "FAILED", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`, nil},
	"odd": {
		200,
		`{"data": {"id": "odd", "concluded": true, "runName": "no", "status": "CANCELLED", "startedAt": "2020-12-08T11:47:08Z"}}`,
		nil,
	},
}

// sequences are runs that are answered like one of the above after the other, and like the last
// ever after. Nothing is a connection that breaks.
var sequences = map[string][]string{
	"succeeds": {"running", "documented"},
	"fails":    {"running", "failed"},
	"restarts": {"running", "", "", "retried", "documented"}, // twice: net/http itself asks again on another connection
	"vanishes": {"running", "missing"},
	"starts":   {"missing", "missing", "running", "documented"},
	"refuses":  {"missing", "forbidden"},
	"departs":  {"missing", "running", "missing"},
}

// api answers like the contract, though nothing is held, and writes down what it is asked and with
// which token.
// anHourAgo is when recent runs of the servers started. It does not change during a test.
var anHourAgo = time.Now().UTC().Truncate(time.Second).Add(-time.Hour)

func api(logFile string) http.HandlerFunc {
	var mu sync.Mutex
	asked := map[string]int{} // how often, by the run's id
	return func(w http.ResponseWriter, r *http.Request) {
		log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer log.Close()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		fmt.Fprintln(log, r.Method, r.URL.RequestURI(), token)

		w.Header().Set("Content-Type", "application/json")
		if token != "good-token" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error": {"status": 401, "message": "unknown token %s", "id": "req-1"}}`, token)
			return
		}
		w.Header().Set("X-Request-Id", "req-0")
		w.Header().Set("X-RateLimit-Limit", "1000")
		w.Header().Set("X-RateLimit-Remaining", "998")
		w.Header().Set("X-RateLimit-Reset", "3599")
		if r.URL.Path == "/v1/login" {
			io.WriteString(w, `{"data": {}}`)
			return
		}
		if serveList(w, r) || serveOutcome(w, r) {
			return
		}
		if prefer := r.Header.Get("Prefer"); prefer != "" {
			w.Header().Set("Preference-Applied", prefer)
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if sequence := sequences[id]; sequence != nil {
			mu.Lock()
			n := min(asked[id], len(sequence)-1)
			asked[id]++
			mu.Unlock()
			if id = sequence[n]; id == "" {
				panic(http.ErrAbortHandler)
			}
		}
		run, ok := runs[id]
		if !ok {
			run = runs["missing"]
		}
		for name, value := range run.headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(run.status)
		io.WriteString(w, run.body)
	}
}

// documentedRun is a run with an ID, a status and a start of the tests' choice.
func documentedRun(id, status string, started time.Time) map[string]any {
	run := map[string]any{
		"id": id, "active": 0, "backoffLimit": 0, "completions": 1, "concluded": true, "failed": 0, "runName": id,
		"status": status, "succeeded": 0, "startedAt": started, "concludedAt": started.Add(5 * time.Minute),
	}
	if status == "RUNNING" {
		run["concludedAt"], run["concluded"] = nil, false
	}
	return run
}

// listed are the projects, jobs and runs of the tests' server.
func listed() (projects []string, jobs map[string][]string, runs map[string][]map[string]any) {
	long := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	recent := anHourAgo
	return []string{"first", "second", "evil"},
		map[string][]string{
			"first":  {"only"},
			"second": {"backup", "cleanup", "never"},
			"waits":  {"unlucky"},
			"evil":   {"evil\a\u202e"},
		},
		map[string][]map[string]any{
			"only": {documentedRun("documented", "SUCCESS", long)},
			"backup": {
				documentedRun("b3", "RUNNING", recent.Add(time.Minute)),
				documentedRun("b2", "FAILED", recent),
				documentedRun("b1", "FAILED", long),
			},
			"cleanup": {
				documentedRun("c2", "FAILED", recent.Add(2*time.Minute)),
				documentedRun("c1", "SUCCESS", recent),
				documentedRun("documented", "SUCCESS", long),
			},
			"unlucky":      {documentedRun("fails", "RUNNING", recent)},
			"evil\a\u202e": {documentedRun("\a\u202e", "\a\u202e", long)},
		}
}

func jobNamed(project, id string) map[string]any {
	return map[string]any{
		"id": id, "projectId": project, "appId": "/t/" + project + "/" + id, "name": id, "tags": []string{},
		"jobType": "manual", "disabledCI": true, "disabledCD": true,
	}
}

// jobStates are the states of jobs.
var jobStates = map[string]json.RawMessage{
	"backup": json.RawMessage(`{"latestRun": {"id": "b3", "runName": "b3", "status": "RUNNING", "startedAt": "2020-12-08T11:47:08Z"},
		"latestSuccess": null, "failuresInARow": 2, "running": 1,
		"latestFailure": {"id": "b2", "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`),
}

// withReason returns a run as listProjectRuns has it.
func withReason(run map[string]any, job string) map[string]any {
	var outcome struct{ Reason, Message, Host *string }
	if text := outcomes[run["id"].(string)]; text != "" {
		if err := json.Unmarshal([]byte(text), &outcome); err != nil {
			panic(err)
		}
	}
	run = maps.Clone(run)
	run["jobId"], run["reason"], run["message"], run["host"] = job, outcome.Reason, outcome.Message, outcome.Host
	return run
}

// serveList answers like the lists of the contract, and reports whether the request is for one.
func serveList(w http.ResponseWriter, r *http.Request) bool {
	projects, jobs, runs := listed()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	northflank := false // whether to respond like the Northflank API, to which these operations are unknown
	if path[0] == "teams" {
		if path[1] == "empty" {
			projects = nil
		}
		northflank = path[1] == "northflank"
		path = path[2:]
	}
	selected := func(run map[string]any) bool {
		since, _ := time.Parse(time.RFC3339, r.FormValue("since"))
		until, err := time.Parse(time.RFC3339, r.FormValue("until"))
		statuses, started := r.URL.Query()["status"], run["startedAt"].(time.Time)
		return (len(statuses) == 0 || slices.Contains(statuses, run["status"].(string))) &&
			!started.Before(since) && (err != nil || started.Before(until))
	}
	var name string
	items := []map[string]any{}
	switch {
	case len(path) == 1:
		name = "projects"
		for _, id := range projects {
			items = append(items, map[string]any{"id": id, "name": strings.ToUpper(id)})
		}
	case len(path) == 3 && path[2] == "jobs" && jobs[path[1]] != nil:
		name = "jobs"
		for _, id := range jobs[path[1]] {
			job := jobNamed(path[1], id)
			if r.FormValue("latestRun") == "true" && runs[id] != nil && !northflank {
				job["latestRun"] = runs[id][0]
			}
			items = append(items, job)
		}
	case len(path) == 4 && path[2] == "jobs" && runs[path[3]] != nil:
		job := jobNamed(path[1], path[3])
		job["createdAt"] = runs[path[3]][0]["startedAt"]
		if !northflank {
			job["state"] = jobStates[path[3]]
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": job}) // fails if the program has ended
		return true
	case len(path) == 3 && path[2] == "runs" && jobs[path[1]] != nil && !northflank:
		name = "runs"
		for _, id := range jobs[path[1]] {
			for _, run := range runs[id] {
				if only := r.FormValue("jobId"); selected(run) && (only == "" || only == id) {
					items = append(items, withReason(run, id))
				}
			}
		}
		slices.SortStableFunc(items, func(a, b map[string]any) int {
			return b["startedAt"].(time.Time).Compare(a["startedAt"].(time.Time))
		})
	case len(path) == 5 && path[4] == "runs" && runs[path[3]] != nil:
		name = "runs"
		for _, run := range runs[path[3]] {
			if selected(run) {
				items = append(items, run)
			}
		}
	case len(path) == 3, len(path) == 5 && path[4] == "runs":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"status": 404, "message": "not found", "id": "req-1"}}`)
		return true
	default:
		return false
	}
	writePage(w, r, name, items)
	return true
}

// writePage answers with a page of the items, whose cursor is the number of the next one.
func writePage(w http.ResponseWriter, r *http.Request, name string, items []map[string]any) {
	size := 50
	if n, err := strconv.Atoi(r.FormValue("per_page")); err == nil {
		size = n
	}
	first, _ := strconv.Atoi(r.FormValue("cursor"))
	if page, err := strconv.Atoi(r.FormValue("page")); err == nil {
		first = (page - 1) * size
	}
	first = min(first, len(items))
	last := min(first+size, len(items))
	pagination := map[string]any{"hasNextPage": last < len(items), "count": last - first}
	if last < len(items) {
		pagination["cursor"] = strconv.Itoa(last)
	}
	body := map[string]any{"data": map[string]any{name: items[first:last]}, "pagination": pagination}
	_ = json.NewEncoder(w).Encode(body) // fails if the program has ended
}

// outcomes are the bodies of the tests' server by the ID of the run. It knows no operation of others.
var outcomes = map[string]string{
	"lost": `{"reason": "ExitStatus", "message": "exit status 23", "exitStatus": 23, "signal": null, "host": "web-1",
		"later": 1e3, "attempts": [` + attempt(1, "exit status 1") + `, ` + attempt(2, "killed by signal 9 (KILL)") + `, ` +
		attempt(3, "exit status 23") + `]}`,
	"quiet":  `{"reason": "JobGone", "message": "", "exitStatus": null, "signal": null, "host": null, "attempts": []}`,
	"logged": `{"reason": "Unknown", "message": "", "exitStatus": null, "signal": null, "host": null, "attempts": []}`,
	"documented": `{"reason": "Completed", "message": "exit status 0", "exitStatus": 0, "signal": null, "host": "web-1",
		"attempts": [` + attempt(1, "exit status 0") + `]}`,
	"running": `{"reason": null, "message": null, "exitStatus": null, "signal": null, "host": "web-1", "attempts": []}`,
	"evil": `{"reason": "\u001b[2J", "message": "\u001b[31mred\u202e\n", "exitStatus": 1, "signal": null,
		"host": "\u001b[2J", "attempts": [{"number": 1, "message": "\u001b[1m", "reason": "\u0007"}]}`,
	"c2": `{"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit.", "exitStatus": null,
		"signal": null, "host": null, "attempts": [` + attempt(7, "exit status 2") + `]}`,
	"b2": `{"reason": "Signal", "message": "killed by signal 9 (KILL)", "exitStatus": null, "signal": "KILL",
		"host": "db-7", "attempts": []}`,
}

func attempt(number int, message string) string {
	return fmt.Sprintf(`{"number": %d, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:48:08Z",
		"reason": "ExitStatus", "message": %q, "exitStatus": null, "signal": null}`, number, message)
}

// logs are the lines of the tests' server by the ID of the run.
var logs = map[string][]string{
	"lost": {"one", "two", "three\tcolumns", "four\r", "five \x1b[31mred\u202e", "six"},
	"none": {},
	"":     {"of the latest run"},
}

// logOf returns the body of the operation getJobLogs, and whether there is such a run.
func logOf(r *http.Request) (string, bool) {
	texts, known := logs[r.FormValue("runId")]
	lines := []map[string]any{}
	for i, text := range texts {
		at := time.Date(2020, 12, 8, 11, 47, i, 5e8, time.UTC)
		lines = append(lines, map[string]any{"containerId": "web-1", "log": text, "ts": at})
	}
	if r.FormValue("direction") == "backward" {
		slices.Reverse(lines)
	}
	if limit, err := strconv.Atoi(r.FormValue("lineLimit")); err == nil {
		lines = lines[:min(limit, len(lines))]
	}
	body, err := json.Marshal(lines)
	if err != nil {
		panic(err)
	}
	return string(body), known
}

// serveOutcome answers like the operations getJobRunOutcome and getJobLogs, and reports whether the
// request is for one of them.
func serveOutcome(w http.ResponseWriter, r *http.Request) bool {
	path, run, _ := strings.Cut(r.URL.Path, "/runs/")
	run, isOutcome := strings.CutSuffix(run, "/outcome")
	path, isLog := strings.CutSuffix(path, "/logs")
	if !isOutcome && !isLog {
		return false
	}
	job := path[strings.LastIndexByte(path, '/')+1:]
	body, known := outcomes[run]
	if isLog {
		body, known = logOf(r)
	}
	switch {
	case job == "hangs":
		<-r.Context().Done()
	case job == "breaks":
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"error": {"status": 500, "message": "internal server error", "id": "req-1"}}`)
	case job == "garbage":
		fmt.Fprint(w, `<html>Not found</html>`)
	case job == "refuses", isLog && job == "states":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error": {"status": 403, "message": "lacks the permission", "id": "req-1"}}`)
	case job == "earlier", !known:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"status": 404, "message": "not found", "id": "req-1"}}`)
	default:
		fmt.Fprintf(w, `{"data": %s}`, body)
	}
	return true
}
