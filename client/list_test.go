package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// northflankJobs is a page as the Northflank API sends it: with fields that the contract does not
// have, and without our latestRun.
const northflankJobs = `{"data": {"jobs": [{"id": "example-job", "appId": "/test-team/default-project/example-job",
	"name": "Example Job", "description": "This is the job description", "tags": [], "jobType": "manual",
	"disabledCI": false, "disabledCD": false, "projectId": "default-project"}]},
	"pagination": {"hasNextPage": true, "cursor": "65cf2bfbe5ab1ae2e5ac0d5b", "count": 1}}`

// northflankRuns are runs as the Northflank API sends them: with "" or nothing for null.
const northflankRuns = `{"data": {"runs": [
	{"id": "a", "runName": "job-a", "status": "RUNNING", "concluded": false, "startedAt": "2020-12-08T11:47:08.123Z",
	"concludedAt": "", "active": 1, "observed": {"cpu": [1, 2]}},
	{"id": "b", "runName": "job-b", "status": "SUCCESS", "concluded": true, "startedAt": "2020-12-08T11:47:08Z",
	"concludedAt": "2020-12-08T11:52:08Z"}]}, "pagination": {"hasNextPage": false, "cursor": "ignored", "count": 2}}`

func TestListsReadNorthflank(t *testing.T) {
	ctx := t.Context()
	jobs, _, err := newClient(t, serve(t, answers(200, northflankJobs))).ListJobs(ctx, project, ListJobsOptions{})
	wantJobs := &Page[Job]{
		Items: []Job{{
			ID: "example-job", ProjectID: "default-project", AppID: "/test-team/default-project/example-job",
			Name: "Example Job", Tags: []string{}, JobType: JobTypeManual,
		}},
		HasNext: true,
		Cursor:  "65cf2bfbe5ab1ae2e5ac0d5b",
	}
	if diff := cmp.Diff(wantJobs, jobs, cmpopts.IgnoreFields(*jobs, "Raw")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	runs, _, err := newClient(t, serve(t, answers(200, northflankRuns))).ListJobRuns(ctx, job, ListJobRunsOptions{})
	start := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	wantRuns := &Page[JobRun]{Items: []JobRun{
		{ID: "a", RunName: "job-a", Status: JobRunStatusRunning, Active: 1, StartedAt: start.Add(123 * time.Millisecond)},
		{
			ID: "b", RunName: "job-b", Status: JobRunStatusSuccess, Concluded: true, StartedAt: start,
			ConcludedAt: new(start.Add(5 * time.Minute)),
		},
	}}
	if diff := cmp.Diff(wantRuns, runs, cmpopts.IgnoreFields(*runs, "Raw")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	const sent = `{"data": {"more": 1, "projects": [{"id": "p", "name": "P", "description": "x"}]}}`
	projects, _, err := newClient(t, serve(t, answers(200, sent))).ListProjects(ctx, "", ListOptions{})
	wantProjects := &Page[Project]{
		Items: []Project{{ID: "p", Name: "P"}},
		Raw:   []json.RawMessage{[]byte(`{"id": "p", "name": "P", "description": "x"}`)},
	}
	if diff := cmp.Diff(wantProjects, projects); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestListJobRunsFiltersWhatServerDoesNot has a server that knows no filters, as the Northflank
// API.
func TestListJobRunsFiltersWhatServerDoesNot(t *testing.T) {
	c := newClient(t, serve(t, answers(200, northflankRuns)))
	start := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC) // of b; a starts 123 ms later
	for name, test := range map[string]struct {
		opts ListJobRunsOptions
		want string
	}{
		"nothing":        {ListJobRunsOptions{}, "a b "},
		"a status":       {ListJobRunsOptions{Statuses: []JobRunStatus{JobRunStatusSuccess}}, "b "},
		"two statuses":   {ListJobRunsOptions{Statuses: []JobRunStatus{JobRunStatusRunning, JobRunStatusSuccess}}, "a b "},
		"since, at once": {ListJobRunsOptions{Since: start}, "a b "},
		"since":          {ListJobRunsOptions{Since: start.Add(time.Millisecond)}, "a "},
		"until, at once": {ListJobRunsOptions{Until: start}, ""},
		"until":          {ListJobRunsOptions{Until: start.Add(time.Millisecond)}, "b "},
	} {
		page, _, err := c.ListJobRuns(t.Context(), job, test.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for i, run := range page.Items {
			got += run.ID + " "
			if !strings.Contains(string(page.Raw[i]), `"id": "`+run.ID+`"`) {
				t.Errorf("%s: run %s has the raw %s", name, run.ID, page.Raw[i])
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestLatestJobRun(t *testing.T) {
	var asked string
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		answers(200, northflankRuns)(w, r)
	}))
	run, _, err := c.LatestJobRun(t.Context(), job)
	if err != nil || run.ID != "a" || asked != "/v1/projects/p/jobs/j/runs?per_page=1" {
		t.Errorf("%v, %v, asked for %s", run, err, asked)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no run": answers(200, `{"data": {"runs": []}, "pagination": {"hasNextPage": false, "count": 0}}`),
		"no job": answers(404, `{"error": {"status": 404, "message": "not found"}}`),
	} {
		run, _, err := newClient(t, serve(t, handler)).LatestJobRun(t.Context(), job)
		if run != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, %v; want ErrNotFound", name, run, err)
		}
	}
}

// pages responds with n runs, in pages of the requested size. The cursor is the number of the next
// run.
func pages(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.FormValue("per_page"))
		first, _ := strconv.Atoi(r.FormValue("cursor"))
		last := min(n, first+size)
		runs := []string{}
		for i := first; i < last; i++ {
			runs = append(runs, fmt.Sprintf(`{"id": "%d", "status": "FAILED"}`, i))
		}
		answers(200, fmt.Sprintf(`{"data": {"runs": [%s]}, "pagination": {"hasNextPage": %v, "cursor": "%d"}}`,
			strings.Join(runs, ","), last < n, last))(w, r)
	}
}

// collect returns the ids of the runs, and the error that ends them.
func collect(c *Client, ctx context.Context, opts ListJobRunsOptions) (ids []string, err error) {
	for run, err := range c.JobRuns(ctx, job, opts) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, run.ID)
	}
	return ids, nil
}

func TestIteratorPages(t *testing.T) {
	var want []string
	for i := range 250 {
		want = append(want, strconv.Itoa(i))
	}
	asked := 0
	c := newClient(t, "http://example.com", script(&asked, pages(len(want))))
	runs := c.JobRuns(t.Context(), job, ListJobRunsOptions{})
	for range 2 { // an iterator can be used again
		var got []string
		for run, err := range runs {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, run.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if asked != 6 {
		t.Errorf("%d requests, want 3 for each time", asked)
	}
	asked = 0
	for _, err := range runs {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if asked != 1 {
		t.Errorf("%d requests for one run, want 1", asked)
	}
	from := ListOptions{PerPage: 10, Cursor: "225", Page: 7}
	got, err := collect(c, t.Context(), ListJobRunsOptions{ListOptions: from})
	if diff := cmp.Diff(want[225:], got); diff != "" || err != nil {
		t.Errorf("from a cursor: %v (-want +got):\n%s", err, diff)
	}
}

func TestIteratorContinuesAfterEmptyPage(t *testing.T) {
	asked := 0
	empty := answers(200, `{"data": {"runs": []}, "pagination": {"hasNextPage": true, "cursor": "0"}}`)
	c := newClient(t, "http://example.com", script(&asked, empty, pages(1)))
	if got, err := collect(c, t.Context(), ListJobRunsOptions{}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v; want one run", got, err)
	}
}

func TestIteratorEndsIfCursorDoesNotAdvance(t *testing.T) {
	page := func(cursor string) http.HandlerFunc {
		return answers(200, `{"data": {"runs": []}, "pagination": {`+cursor+`"hasNextPage": true}}`)
	}
	a, b := page(`"cursor": "a", `), page(`"cursor": "b", `)
	for name, handlers := range map[string][]http.HandlerFunc{
		"the same": {a, a}, "two, in turn": {a, b, a}, "backwards": {b, a}, "none": {page("")}, "null": {page(`"cursor": null, `)},
	} {
		asked := 0
		_, err := collect(newClient(t, "http://example.com", script(&asked, handlers...)), t.Context(), ListJobRunsOptions{})
		if err == nil || !strings.Contains(err.Error(), "leads nowhere") || asked != len(handlers) {
			t.Errorf("%s: %v after %d requests, want an error after %d", name, err, asked, len(handlers))
		}
	}
}

func TestCursorsMoveForward(t *testing.T) {
	for _, test := range []struct {
		from, to string
		runs     bool
		want     bool
	}{
		{"", "b", false, true},
		{"", "", false, false},
		{"b", "c", false, true},
		{"b", "b", false, false},
		{"b", "a", false, false},
		{"1.0", "10.0", false, true}, // these are IDs of jobs
		{"10.0", "2.0", false, true},
		{"65cf2bfbe5ab1ae2e5ac0d5b", "15cf2bfbe5ab1ae2e5ac0d5b", true, true}, // of the Northflank API, in any order
		{"65cf2bfbe5ab1ae2e5ac0d5b", "65cf2bfbe5ab1ae2e5ac0d5b", true, false},
		{"1607428028.a", "1607428027.a", true, true},
		{"1607428028.a", "999.a", true, true},
		{"1607428028.a", "1607428029.b", true, false},
		{"1607428028.a", "1607428028.b", true, true},
		{"1607428028.b", "1607428028.a", true, false},
		{"1607428028.a", "-1.a", true, true},
		{"1607428028.10.aaaaaaaaaa.r", "1607428028.1.b.a", true, true},
		{"1607428028.1.b.a", "1607428028.10.aaaaaaaaaa.r", true, false},
		{"1607428028.1.b.a", "1607428028.1.b.b", true, true},
	} {
		if got := movesForward(test.from, test.to, test.runs); got != test.want {
			t.Errorf("from %q to %q, of runs %t: %t, want %t", test.from, test.to, test.runs, got, test.want)
		}
	}
}

func TestIteratorEndsWithError(t *testing.T) {
	asked := 0
	c := newClient(t, "http://example.com", script(&asked, answers(404, `{"error": {"message": "not found"}}`)))
	for _, err := range c.Jobs(t.Context(), project, ListJobsOptions{}) {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("jobs: %v", err)
		}
	}
	for _, err := range c.Projects(t.Context(), "", ListOptions{}) {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("projects: %v", err)
		}
	}
	if asked != 2 {
		t.Errorf("%d requests, want 2", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collect(c, ctx, ListJobRunsOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("runs: %v, want the context's", err)
	}
}

// The server accepts two requests a second.
func TestIteratorWaitsForRateLimit(t *testing.T) {
	for name, refuse := range map[string]bool{"announced": false, "refused": true} {
		synctest.Test(t, func(t *testing.T) {
			var opened time.Time
			asked, left, refused := 0, 0, 0
			c := newClient(t, "http://example.com", WithMaxRetries(0), script(&asked, func(w http.ResponseWriter, r *http.Request) {
				if now := time.Now(); now.Sub(opened) >= time.Second {
					opened, left = now, 2
				}
				if left == 0 {
					refused++
					answers(429, "", "X-RateLimit-Reset", "1")(w, r)
					return
				}
				left--
				if !refuse {
					w.Header().Set("X-RateLimit-Limit", "2")
					w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
					w.Header().Set("X-RateLimit-Reset", "1")
				}
				pages(5)(w, r)
			}))
			got, err := collect(c, t.Context(), ListJobRunsOptions{ListOptions: ListOptions{PerPage: 1}})
			if err != nil || len(got) != 5 || (refused > 0) != refuse {
				t.Errorf("%s: %v, %v, %d requests refused", name, got, err, refused)
			}
		})
	}
}

func TestIteratorDoesNotWaitPastContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := newClient(t, "http://example.com", script(&asked, answers(429, "", "Retry-After", "3600")))
		begin := time.Now()
		_, err := collect(c, deadline(t, time.Minute), ListJobRunsOptions{})
		if took := time.Since(begin); !errors.Is(err, ErrRateLimited) || took != 0 {
			t.Errorf("%v after %v, want ErrRateLimited at once", err, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_, err = collect(c, ctx, ListJobRunsOptions{})
		if took := time.Since(begin); !errors.Is(err, context.Canceled) || took != time.Minute {
			t.Errorf("%v after %v, want the context's error after a minute", err, took)
		}
	})
}
