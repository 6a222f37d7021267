package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	project = ProjectRef{Project: "p"}
	job     = JobRef{Project: "p", Job: "j"}
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
			Name: "Example Job",
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
		{
			ID:        "a",
			RunName:   "job-a",
			Status:    JobRunStatusRunning,
			Active:    1,
			StartedAt: start.Add(123 * time.Millisecond),
		},
		{
			ID: "b", RunName: "job-b", Status: JobRunStatusSuccess, Concluded: true, StartedAt: start,
			ConcludedAt: new(start.Add(5 * time.Minute)),
		},
	}}
	if diff := cmp.Diff(wantRuns, runs, cmpopts.IgnoreFields(*runs, "Raw")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	projects, _, err := newClient(
		t,
		serve(t, answers(200, `{"data": {"projects": [{"id": "p", "name": "P", "description": "x"}]}}`)),
	).
		ListProjects(
			ctx,
			"",
			ListOptions{},
		)
	wantProjects := &Page[Project]{
		Items: []Project{{ID: "p", Name: "P"}},
		Raw:   []json.RawMessage{[]byte(`{"id": "p", "name": "P", "description": "x"}`)},
	}
	if diff := cmp.Diff(wantProjects, projects); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestListJobRunsFiltersWhatServerDoesNot has a server that knows no filters, as the Northflank API.
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

func TestJobsHaveLatestRun(t *testing.T) {
	run := strings.TrimSuffix(strings.TrimPrefix(documented, `{"data": `), "}")
	c := newClient(
		t,
		serve(
			t,
			answers(200, `{"data": {"jobs": [{"id": "a", "latestRun": null}, {"id": "b", "latestRun": `+run+`}]}}`),
		),
	)
	page, _, err := c.ListJobs(t.Context(), project, ListJobsOptions{})
	want := &Page[Job]{Items: []Job{{ID: "a"}, {ID: "b", LatestRun: documentedRun}}}
	if diff := cmp.Diff(want, page, cmpopts.IgnoreFields(*page, "Raw")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestListRequests(t *testing.T) {
	at := time.Date(2020, 12, 8, 11, 47, 8, 0, time.FixedZone("", 3600))
	page := ListOptions{PerPage: 20, Page: 3, Cursor: "a.b-c_d"}
	both := []JobRunStatus{JobRunStatusFailed, JobRunStatusRunning}
	for want, ask := range map[string]func(*Client) error{
		"/v1/projects?": func(c *Client) error {
			_, _, err := c.ListProjects(t.Context(), "", ListOptions{})
			return err
		},
		"/v1/teams/t/projects?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) error {
			_, _, err := c.ListProjects(t.Context(), "t", page)
			return err
		},
		"/v1/projects/p/jobs?status=FAILED&status=RUNNING": func(c *Client) error {
			_, _, err := c.ListJobs(t.Context(), project, ListJobsOptions{Statuses: both})
			return err
		},
		"/v1/teams/t/projects/p/jobs?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) error {
			_, _, err := c.ListJobs(t.Context(), ProjectRef{Team: "t", Project: "p"}, ListJobsOptions{ListOptions: page})
			return err
		},
		"/v1/projects/p/jobs/j/runs?since=2020-12-08T11:47:08+01:00&status=FAILED&until=2020-12-08T12:47:08+01:00": func(c *Client) error {
			_, _, err := c.ListJobRuns(t.Context(), job,
				ListJobRunsOptions{Statuses: both[:1], Since: at, Until: at.Add(time.Hour)})
			return err
		},
		"/v1/teams/t/projects/p/jobs/j/runs?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) error {
			_, _, err := c.ListJobRuns(t.Context(), JobRef{"t", "p", "j"}, ListJobRunsOptions{ListOptions: page})
			return err
		},
	} {
		t.Run(want, func(t *testing.T) {
			var got string
			c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				query, err := url.QueryUnescape(r.URL.Query().Encode()) // sorted
				if err != nil {
					t.Error(err)
				}
				got = r.URL.Path + "?" + query
				answers(200, `{"data": {"projects": [], "jobs": [], "runs": []}}`)(w, r)
			}))
			if err := ask(c); err != nil || got != want {
				t.Errorf("asked for %s: %v, want %s", got, err, want)
			}
		})
	}
}

func TestListsRefuseReference(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	for _, ref := range []JobRef{{}, {Project: "p"}, {Job: "j"}, {Project: "..", Job: "j"}, {Team: ".", Project: "p", Job: "j"}} {
		if _, _, err := c.ListJobRuns(
			t.Context(),
			ref,
			ListJobRunsOptions{},
		); err == nil ||
			!strings.HasPrefix(err.Error(), "JobRef.") {
			t.Errorf("%+v: %v", ref, err)
		}
	}
	if _, _, err := c.ListJobs(
		t.Context(),
		ProjectRef{},
		ListJobsOptions{},
	); err == nil ||
		err.Error() != "ProjectRef.Project is empty" {
		t.Error(err)
	}
	if _, _, err := c.ListProjects(
		t.Context(),
		"..",
		ListOptions{},
	); err == nil ||
		err.Error() != `team is "..", which is no ID` {
		t.Error(err)
	}
}

func TestListsRefuseOtherResponse(t *testing.T) {
	for body, want := range map[string]string{
		`[]`:                     "not a list of runs: json",
		`{}`:                     "not a list of runs: there is no such list in data.runs",
		`{"data": null}`:         "not a list of runs: there is no such list in data.runs",
		`{"data": {"jobs": []}}`: "not a list of runs: there is no such list in data.runs",
		`{"data": {"runs": {}}}`: "not a list of runs: there is no such list in data.runs",
		`{"data": {"runs": [{"id": "a", "status": "FAILED"}, 1]}}`:  "not a list of runs",
		`{"data": {"runs": [{"id": "a", "status": "FAILED"}, {}]}}`: "not a job run: there is no data.runs[1].id",
		`{"data": {"runs": [{"id": "a"}]}}`:                         "not a job run: there is no data.runs[0].status",
	} {
		page, resp, err := newClient(
			t,
			serve(t, answers(200, body)),
		).ListJobRuns(
			t.Context(),
			job,
			ListJobRunsOptions{},
		)
		var apiErr *Error
		if page != nil || resp == nil || !errors.As(err, &apiErr) || !strings.HasPrefix(apiErr.Message, want) {
			t.Errorf("%s: %v, %v; want an error that begins %q", body, page, err, want)
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

// pages answers with n runs, in pages of the size that is asked for. The cursor is the number of
// the next run.
func pages(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.FormValue("per_page"))
		first, _ := strconv.Atoi(r.FormValue("cursor"))
		last := min(n, first+size)
		runs := []map[string]string{}
		for i := first; i < last; i++ {
			runs = append(runs, map[string]string{
				"id": strconv.Itoa(i), "status": "FAILED", "startedAt": "2020-12-08T11:47:08Z",
			})
		}
		pagination := map[string]any{"hasNextPage": last < n}
		if last < n {
			pagination["cursor"] = strconv.Itoa(last)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"runs": runs}, "pagination": pagination})
	}
}

// collect returns the ids that the runs have, and the error that ends them.
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
	handler := pages(len(want))
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		handler(w, r)
	}))
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
	got, err := collect(
		c,
		t.Context(),
		ListJobRunsOptions{ListOptions: ListOptions{PerPage: 10, Cursor: "225", Page: 7}},
	)
	if diff := cmp.Diff(want[225:], got); diff != "" || err != nil {
		t.Errorf("from a cursor on: %v (-want +got):\n%s", err, diff)
	}
}

func TestIteratorGoesOnAfterEmptyPage(t *testing.T) {
	handler := pages(1)
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("cursor") == "" {
			answers(200, `{"data": {"runs": []}, "pagination": {"hasNextPage": true, "cursor": "0"}}`)(w, r)
			return
		}
		handler(w, r)
	}))
	if got, err := collect(c, t.Context(), ListJobRunsOptions{}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v; want one run", got, err)
	}
}

func TestIteratorEndsWhereCursorDoesNotAdvance(t *testing.T) {
	for name, test := range map[string]struct {
		next func(cursor string) string
		want string
	}{
		"the same":         {func(string) string { return `"cursor": "a",` }, `the cursor "a" again`},
		"two, in turn":     {func(c string) string { return map[string]string{"a": `"cursor": "b",`}[c] + `"cursor": "a",` }, "again"},
		"none at all":      {func(string) string { return "" }, "not where"},
		"null, no meaning": {func(string) string { return `"cursor": null,` }, "not where"},
	} {
		asked := 0
		c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked++
			fmt.Fprintf(
				w,
				`{"data": {"runs": [{"id": "x", "status": "FAILED"}]}, "pagination": {%s "hasNextPage": true}}`,
				test.next(r.FormValue("cursor")),
			)
		}))
		_, err := collect(c, t.Context(), ListJobRunsOptions{})
		if err == nil || !strings.Contains(err.Error(), test.want) || asked > 3 {
			t.Errorf("%s: %v after %d requests; want %q", name, err, asked, test.want)
		}
	}
}

func TestIteratorEndsWithError(t *testing.T) {
	c := newClient(t, serve(t, answers(404, `{"error": {"message": "not found"}}`)))
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
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collect(c, ctx, ListJobRunsOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("runs: %v, want the context's", err)
	}
}

// TestIteratorWaitsForRateLimit has a server that takes two requests a second.
func TestIteratorWaitsForRateLimit(t *testing.T) {
	for name, refuse := range map[string]bool{"told before": false, "refused": true} {
		var opened time.Time
		left, refused := 0, 0
		handler := pages(5)
		c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if now := time.Now(); now.Sub(opened) >= time.Second {
				opened, left = now, 2
			}
			reset := "1"
			if left == 0 {
				refused++
				answers(429, `{"error": {"message": "slow down"}}`, "X-RateLimit-Reset", reset)(w, r)
				return
			}
			left--
			if !refuse {
				w.Header().Set("X-RateLimit-Limit", "2")
				w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
				w.Header().Set("X-RateLimit-Reset", reset)
			}
			handler(w, r)
		}), WithMaxRetries(0))
		got, err := collect(c, t.Context(), ListJobRunsOptions{ListOptions: ListOptions{PerPage: 1}})
		if err != nil || len(got) != 5 || (refused > 0) != refuse {
			t.Errorf("%s: %v, %v, %d requests refused", name, got, err, refused)
		}
	}
}

func TestIteratorDoesNotWaitPastDeadline(t *testing.T) {
	c := newClient(t, serve(t, answers(429, `{"error": {"message": "slow down"}}`, "Retry-After", "3600")))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := collect(c, ctx, ListJobRunsOptions{}); !errors.Is(err, ErrRateLimited) {
		t.Errorf("%v, want ErrRateLimited at once", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{}, 1)
	c = newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		answers(429, "{}", "Retry-After", "3600")(w, r)
		asked <- struct{}{}
	}))
	go func() {
		<-asked
		cancel()
	}()
	if _, err := collect(c, ctx, ListJobRunsOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}
