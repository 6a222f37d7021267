package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
	recent := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	return []string{"first", "second", "evil"},
		map[string][]string{
			"first":  {"only"},
			"second": {"backup", "cleanup", "never"},
			"waits":  {"unlucky", "earlier", "breaks", "hangs"},
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
			"earlier":      {documentedRun("b2", "FAILED", recent), documentedRun("b1", "FAILED", long)},
			"hangs":        {documentedRun("b2", "FAILED", recent), documentedRun("b1", "FAILED", long)},
			"breaks":       {documentedRun("b2", "FAILED", recent), documentedRun("b1", "FAILED", long)},
			"unlucky":      {documentedRun("fails", "RUNNING", recent)},
			"evil\a\u202e": {documentedRun("\a\u202e", "\a\u202e", long)},
		}
}

// serveList answers like the lists of the contract, and reports whether the request is for one.
func serveList(w http.ResponseWriter, r *http.Request) bool {
	projects, jobs, runs := listed()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if path[0] == "teams" {
		if path[1] == "empty" {
			projects = nil
		}
		path = path[2:]
	}
	var name string
	items := []map[string]any{}
	switch {
	case len(path) == 1:
		name = "projects"
		for _, id := range projects {
			items = append(items, map[string]any{"id": id, "name": strings.ToUpper(id)})
		}
	case len(path) == 3 && jobs[path[1]] != nil:
		name = "jobs"
		for _, id := range jobs[path[1]] {
			job := map[string]any{"id": id, "projectId": path[1], "appId": "/t/" + path[1] + "/" + id, "name": id}
			if runs[id] != nil { // else the field is absent, as at Northflank
				job["latestRun"] = runs[id][0]
			}
			items = append(items, job)
		}
	case len(path) == 5 && runs[path[3]] != nil:
		name = "runs"
		for _, run := range runs[path[3]] {
			since, _ := time.Parse(time.RFC3339, r.FormValue("since"))
			statuses := r.URL.Query()["status"]
			if (len(statuses) == 0 || slices.Contains(statuses, run["status"].(string))) &&
				!run["startedAt"].(time.Time).Before(since) {
				items = append(items, run)
			}
		}
	case len(path) == 3 || len(path) == 5:
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
	_ = json.NewEncoder(
		w,
	).Encode(
		map[string]any{"data": map[string]any{name: items[first:last]}, "pagination": pagination},
	)
}
