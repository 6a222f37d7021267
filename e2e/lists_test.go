//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
)

// listedRuns is how many runs job j of project p has: for three of the largest pages.
const listedRuns = 250

// listedStore has those runs, and a run of another project, and returns their IDs, the one that
// started last first, some at the same time.
func listedStore(t *testing.T) (store, token string, ids []string) {
	t.Helper()
	store = newStore(t)
	first := time.Date(2020, 12, 8, 0, 0, 0, 0, time.UTC)
	text := strings.Replace(runLine("other"), `"p"`, `"q"`, 1) + strings.Replace(runLine("k"), `"j"`, `"k"`, 1)
	for i := range listedRuns {
		id := fmt.Sprintf("run-%03d", i)
		ids = append(ids, id)
		started := first.Add(time.Duration((listedRuns-i)/2) * time.Minute)
		text += startedRun(id, started, started.Add(time.Second))
	}
	if got := importText(t, store, text); got != imported(listedRuns+2) {
		t.Fatalf("%+v", got)
	}
	return store, output(t, "jobrund", "token", "create", "--name", "test", "--store", store), ids
}

// listResult is what js-lists.mjs prints.
type listResult struct {
	Data        map[string][]struct{ ID string }
	Error       json.RawMessage
	HasNextPage bool
	Cursor      string
}

// listOfficially calls a list of the official JavaScript client, which is installed in the folder,
// and returns the IDs.
func listOfficially(
	t *testing.T,
	folder, host, token, method string,
	all bool,
	parameters, options map[string]any,
) ([]string, listResult) {
	t.Helper()
	var got listResult
	runNode(t, folder, "js-lists.mjs", map[string]any{
		"host": host, "token": token, "method": method, "all": all, "parameters": parameters, "options": options,
	}, &got)
	if got.Error != nil || len(got.Data) != 1 {
		t.Fatalf("%s: %+v", method, got)
	}
	var ids []string
	for _, items := range got.Data {
		for _, item := range items {
			ids = append(ids, item.ID)
		}
	}
	return ids, got
}

func TestOfficialJavaScriptClientLists(t *testing.T) {
	t.Parallel()
	store, token, ids := listedStore(t)
	s := serve(t, store)
	folder := npmInstall(t, jsClient)
	project := map[string]any{"projectId": "p"}
	job := map[string]any{"projectId": "p", "jobId": "j"}
	team := map[string]any{"teamId": "default", "projectId": "p", "jobId": "j"}
	for _, test := range []struct {
		method              string
		all                 bool
		parameters, options map[string]any
		want                []string
		more                bool
	}{
		{"list.projects", false, nil, nil, []string{"p", "q"}, false},
		{"list.projects", false, nil, map[string]any{"per_page": 1}, []string{"p"}, true},
		{"list.projects", true, nil, map[string]any{"per_page": 1}, []string{"p", "q"}, false},
		{"list.jobs", false, project, nil, []string{"j", "k"}, false},
		{"list.jobs", true, project, map[string]any{"per_page": 1}, []string{"j", "k"}, false},
		{"get.job.runs", false, job, nil, ids[:50], true},
		{"get.job.runs", false, job, map[string]any{"per_page": 20, "page": 3}, ids[40:60], true},
		{"get.job.runs", false, team, map[string]any{"per_page": 100, "page": 3}, ids[200:], false},
		{"get.job.runs", true, job, nil, ids, false},
		{"get.job.runs", true, team, map[string]any{"per_page": 7}, ids, false},
	} {
		name := fmt.Sprintf("%s, all %t, %v", test.method, test.all, test.options)
		got, result := listOfficially(t, folder, s.url, token, test.method, test.all, test.parameters, test.options)
		if diff := cmp.Diff(test.want, got); diff != "" || result.HasNextPage != test.more ||
			(result.Cursor != "") != test.more {
			t.Errorf("%s: more: %t, cursor %q (-want +got):\n%s", name, result.HasNextPage, result.Cursor, diff)
		}
	}
	_, result := listOfficially(t, folder, s.url, token, "get.job.runs", false, job, nil)
	got, _ := listOfficially(t, folder, s.url, token, "get.job.runs", false, job,
		map[string]any{"cursor": result.Cursor})
	if diff := cmp.Diff(ids[50:100], got); diff != "" {
		t.Errorf("the page of the cursor %q (-want +got):\n%s", result.Cursor, diff)
	}
}

func TestOfficialJavaScriptClientGetsJob(t *testing.T) {
	store, token, ids := listedStore(t)
	s := serve(t, store)
	for _, parameters := range []map[string]any{
		{"projectId": "p", "jobId": "j"}, {"projectId": "p", "jobId": "j", "teamId": "default"},
	} {
		var got struct {
			Data  model.JobDetail
			Error json.RawMessage
		}
		runNode(t, npmInstall(t, jsClient), "js-lists.mjs", map[string]any{
			"host": s.url, "token": token, "method": "get.job", "parameters": parameters,
		}, &got)
		if job := got.Data; got.Error != nil || job.ID != "j" || job.JobType != model.JobTypeManual ||
			job.State.LatestRun.ID != ids[0] || job.State.LatestSuccess == nil || job.State.LatestFailure != nil {
			t.Errorf("%v: %+v, %s", parameters, job, got.Error)
		}
	}
}
