package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/spec"
)

// A team variant has the method of its operation, which takes the team.
func TestEachOperationHasMethod(t *testing.T) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if slices.Contains(op.Tags, "documentation") {
				continue // gen/client.yaml excludes it, too
			}
			operations++
			name := strings.ToUpper(op.OperationID[:1]) + strings.Replace(op.OperationID[1:], "Team", "", 1)
			if _, ok := reflect.TypeFor[*Client]().MethodByName(name); !ok {
				t.Errorf("%s: the client has no method %s", op.OperationID, name)
			}
			declared, _ := op.Extensions["x-idempotent"].(bool)
			if want := method == http.MethodGet || declared; idempotent(method) != want {
				t.Errorf("%s: idempotent(%s) = %v, want %v", op.OperationID, method, !want, want)
			}
		}
	}
	if operations == 0 {
		t.Error("the document has no operations")
	}
}

func TestGetJobRunReadsTimes(t *testing.T) {
	const concluded = `"concludedAt": "2020-12-08T11:52:08Z"`
	start, end := documentedRun.StartedAt, documentedRun.ConcludedAt
	for name, tt := range map[string]struct {
		old, new    string // in the documented response
		startedAt   time.Time
		concludedAt *time.Time
	}{
		"null":           {concluded, `"concludedAt": null`, start, nil},
		"empty":          {concluded, `"concludedAt": ""`, start, nil},
		"absent":         {",\n  " + concluded, "", start, nil},
		"start null":     {`"2020-12-08T11:47:08Z"`, "null", time.Time{}, end},
		"start empty":    {`"2020-12-08T11:47:08Z"`, `""`, time.Time{}, end},
		"start absent":   {`"startedAt"`, `"created"`, time.Time{}, end},
		"fraction":       {"11:52:08Z", "11:52:08.123456789Z", start, new(end.Add(123456789))},
		"offset":         {"11:47:08Z", "13:47:08.5+02:00", start.Add(time.Second / 2), end},
		"unknown fields": {`"active"`, `"more": {"concludedAt": 7}, "active"`, start, end},
	} {
		body := strings.Replace(documented, tt.old, tt.new, 1)
		want := *documentedRun
		want.StartedAt, want.ConcludedAt = tt.startedAt, tt.concludedAt
		run, _, err := newClient(t, serve(t, answers(200, body))).GetJobRun(t.Context(), documentedRef)
		if diff := cmp.Diff(&want, run); body == documented || diff != "" || err != nil {
			t.Errorf("%s: %v, run (-want +got):\n%s", name, err, diff)
		}
	}
}

// Such an ID would make the path of another operation.
func TestOperationsRejectRef(t *testing.T) {
	asked := 0
	c := newClient(t, "http://example.com", script(&asked, answers(200, documented)))
	errOf := func(_ any, _ *Response, err error) error { return err }
	run := func(ref RunRef) error { return errOf(erase(c.GetJobRun(t.Context(), ref))) }
	runs := func(ref JobRef) error {
		return errOf(erase(c.ListJobRuns(t.Context(), ref, ListJobRunsOptions{})))
	}
	for _, tt := range []struct {
		want string
		err  error
	}{
		{"RunRef.Project is empty", run(RunRef{Job: "j", Run: "r"})},
		{"RunRef.Job is empty", run(RunRef{Project: "p", Run: "r"})},
		{"RunRef.Run is empty", run(RunRef{Project: "p", Job: "j"})},
		{`RunRef.Run is "..", which is no ID`, run(RunRef{Project: "p", Job: "j", Run: ".."})},
		{`RunRef.Project is ".", which is no ID`, run(RunRef{Project: ".", Job: "j", Run: "r"})},
		{`RunRef.Team is "..", which is no ID`, run(RunRef{Team: "..", Project: "p", Job: "j", Run: "r"})},
		{"RunRef.Project is empty", errOf(erase(c.GetJobRunOutcome(t.Context(), RunRef{})))},
		{"JobRef.Project is empty", logs(c, JobRef{}, JobLogsOptions{})},
		{"RunRef.Project is empty", errOf(erase(c.WaitForJobRun(t.Context(), RunRef{})))},
		{"JobRef.Job is empty", runs(JobRef{Project: "p"})},
		{`JobRef.Project is "..", which is no ID`, runs(JobRef{Project: "..", Job: "j"})},
		{`JobRef.Team is ".", which is no ID`, runs(JobRef{Team: ".", Project: "p", Job: "j"})},
		{"JobRef.Job is empty", errOf(erase(c.GetJob(t.Context(), JobRef{Project: "p"})))},
		{"ProjectRef.Project is empty", errOf(erase(c.ListJobs(t.Context(), ProjectRef{}, ListJobsOptions{})))},
		{`ProjectRef.Project is "..", which is no ID`, errOf(erase(c.ListProjectRuns(t.Context(),
			ProjectRef{Project: ".."}, ListProjectRunsOptions{})))},
		{`Team is "..", which is no ID`, errOf(erase(c.ListProjects(t.Context(), "..", ListOptions{})))},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("%v, want %s", tt.err, tt.want)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests", asked)
	}
}

func logs(c *Client, ref JobRef, opts JobLogsOptions) error {
	_, _, err := c.GetJobLogs(context.Background(), ref, opts)
	return err
}

func TestOperationsRequest(t *testing.T) {
	at := time.Date(2020, 12, 8, 11, 47, 8, 0, time.FixedZone("", 3600))
	page := ListOptions{PerPage: 20, Page: 3, Cursor: "a.b-c_d"}
	both := []JobRunStatus{JobRunStatusFailed, JobRunStatusRunning}
	since := ListJobRunsOptions{Statuses: both[:1], Since: at, Until: at.Add(time.Hour)}
	run := RunRef{Project: "p", Job: "j", Run: "r"}
	for want, ask := range map[string]func(*Client){
		"/v1/projects?": func(c *Client) { _, _, _ = c.ListProjects(t.Context(), "", ListOptions{}) },
		"/v1/teams/t/projects?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) {
			_, _, _ = c.ListProjects(t.Context(), "t", page)
		},
		"/v1/projects/p/jobs?status=FAILED&status=RUNNING": func(c *Client) {
			_, _, _ = c.ListJobs(t.Context(), project, ListJobsOptions{Statuses: both})
		},
		"/v1/teams/t/projects/p/jobs?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) {
			_, _, _ = c.ListJobs(t.Context(), ProjectRef{Team: "t", Project: "p"}, ListJobsOptions{ListOptions: page})
		},
		"/v1/projects/p/jobs/j/runs?since=2020-12-08T11:47:08+01:00&status=FAILED&until=2020-12-08T12:47:08+01:00": func(c *Client) {
			_, _, _ = c.ListJobRuns(t.Context(), job, since)
		},
		"/v1/teams/t/projects/p/jobs/j/runs?cursor=a.b-c_d&page=3&per_page=20": func(c *Client) {
			_, _, _ = c.ListJobRuns(t.Context(), JobRef{"t", "p", "j"}, ListJobRunsOptions{ListOptions: page})
		},
		"/v1/projects/p/jobs?latestRun=true": func(c *Client) {
			_, _, _ = c.ListJobs(t.Context(), project, ListJobsOptions{LatestRun: true})
		},
		"/v1/projects/p/jobs/j?":         func(c *Client) { _, _, _ = c.GetJob(t.Context(), job) },
		"/v1/teams/t/projects/p/jobs/j?": func(c *Client) { _, _, _ = c.GetJob(t.Context(), JobRef{"t", "p", "j"}) },
		"/v1/projects/p/runs?":           func(c *Client) { _, _, _ = c.ListProjectRuns(t.Context(), project, ListProjectRunsOptions{}) },
		"/v1/projects/p/runs?jobId=j&since=2020-12-08T11:47:08+01:00&status=FAILED&until=2020-12-08T12:47:08+01:00": func(c *Client) {
			_, _, _ = c.ListProjectRuns(t.Context(), project,
				ListProjectRunsOptions{Job: "j", Statuses: since.Statuses, Since: since.Since, Until: since.Until})
		},
		"/v1/teams/t/projects/p/runs?cursor=a.b-c_d&page=3&per_page=20&status=FAILED&status=RUNNING": func(c *Client) {
			_, _, _ = c.ListProjectRuns(t.Context(), ProjectRef{Team: "t", Project: "p"},
				ListProjectRunsOptions{ListOptions: page, Statuses: both})
		},
		"/v1/projects/p/jobs/j/runs/r/outcome?":         func(c *Client) { _, _, _ = c.GetJobRunOutcome(t.Context(), run) },
		"/v1/teams/t/projects/p/jobs/j/runs/r/outcome?": func(c *Client) { _, _, _ = c.GetJobRunOutcome(t.Context(), RunRef{"t", "p", "j", "r"}) },
		"/v1/projects/p/jobs/j/logs?":                   func(c *Client) { _ = logs(c, job, JobLogsOptions{}) },
		"/v1/teams/t/projects/p/jobs/j/logs?direction=backward&lineLimit=5&runId=r": func(c *Client) {
			_ = logs(c, JobRef{"t", "p", "j"}, JobLogsOptions{Run: "r", LineLimit: 5, Direction: LogDirectionBackward})
		},
	} {
		var got string
		var asked int
		ask(newClient(t, "http://example.com", script(&asked, func(w http.ResponseWriter, r *http.Request) {
			query, err := url.QueryUnescape(r.URL.Query().Encode()) // sorted
			if err != nil {
				t.Error(err)
			}
			got = r.URL.Path + "?" + query
			answers(500, "")(w, r)
		})))
		if got != want || asked != 1 {
			t.Errorf("asked %d times, at last for %s, want %s", asked, got, want)
		}
	}
}

// Each method of an operation rejects a 200 that the contract does not allow, and returns its
// response.
func TestOperationsRejectOtherResponses(t *testing.T) {
	calls := map[string]func(*Client) (any, *Response, error){
		"run": func(c *Client) (any, *Response, error) { return erase(c.GetJobRun(t.Context(), documentedRef)) },
		"outcome": func(c *Client) (any, *Response, error) {
			return erase(c.GetJobRunOutcome(t.Context(), documentedRef))
		},
		"logs": func(c *Client) (any, *Response, error) {
			lines, resp, err := c.GetJobLogs(t.Context(), job, JobLogsOptions{})
			if lines == nil {
				return nil, resp, err
			}
			return lines, resp, err
		},
		"login": func(c *Client) (any, *Response, error) {
			resp, err := c.Login(t.Context())
			return nil, resp, err
		},
		"projects": func(c *Client) (any, *Response, error) {
			return erase(c.ListProjects(t.Context(), "", ListOptions{}))
		},
		"jobs": func(c *Client) (any, *Response, error) {
			return erase(c.ListJobs(t.Context(), project, ListJobsOptions{}))
		},
		"runs": func(c *Client) (any, *Response, error) {
			return erase(c.ListJobRuns(t.Context(), job, ListJobRunsOptions{}))
		},
		"job": func(c *Client) (any, *Response, error) { return erase(c.GetJob(t.Context(), job)) },
		"projectRuns": func(c *Client) (any, *Response, error) {
			return erase(c.ListProjectRuns(t.Context(), project, ListProjectRunsOptions{}))
		},
	}
	for names, bodies := range map[string][]string{
		"run outcome login projects jobs runs job projectRuns": {"", "null", "[]", "1", "<html>Log in</html>", `{"data": []}`},
		"run": {
			"{}", `{"data": {"status": "SUCCESS"}}`, `{"data": {"id": "default-project"}}`,
			strings.Replace(documented, `"2020-12-08T11:52:08Z"`, `"yesterday"`, 1),
			strings.Replace(documented, `"2020-12-08T11:47:08Z"`, `7`, 1),
			strings.Replace(documented, `"concluded": true`, `"concluded": "true"`, 1),
		},
		"logs":    {"", "{}", "[]", `{"data": null}`, `{"data": {}}`, `{"data": [{"ts": "yesterday"}]}`},
		"outcome": {"{}", `{"data": null}`, `{"data": {"attempts": null}}`},
		"job":     {"{}", `{"data": {"name": "j"}}`, `{"data": {"id": "j", "createdAt": "yesterday"}}`},

		"projects jobs runs projectRuns": {"{}", `{"data": {}}`, `{"data": {"others": []}}`},

		"projectRuns": {
			`{"data": {"runs": [{"id": "a", "status": "FAILED"}]}}`, `{"data": {"runs": [{"id": "a", "jobId": "j"}]}}`,
		},
		"projects": {`{"data": {"projects": [{"name": "a"}]}}`, `{"data": {"projects": {}}}`},
		"jobs": {
			`{"data": {"jobs": [{"name": "a"}]}}`, `{"data": {"jobs": [{"id": "a", "latestRun": {"id": "r"}}]}}`,
		},
		"runs": {
			`{"data": {"runs": [{"id": "a", "status": "FAILED"}, 1]}}`,
			`{"data": {"runs": [{"id": "a", "status": "FAILED"}, {}]}}`,
		},
	} {
		for name := range strings.FieldsSeq(names) {
			for _, body := range bodies {
				value, resp, err := calls[name](newClient(t, serve(t, answers(200, body))))
				var apiErr *Error
				if value != nil || resp == nil || !errors.As(err, &apiErr) ||
					!strings.HasPrefix(apiErr.Message, "not a response of this operation") {
					t.Errorf("%s, %s: %v, %v, %v; want an *Error and the response", name, body, value, resp, err)
				}
			}
		}
	}
}

// erase returns nil instead of a nil pointer.
func erase[T any](value *T, resp *Response, err error) (any, *Response, error) {
	if value == nil {
		return nil, resp, err
	}
	return value, resp, err
}

func TestLoginAcceptsAnyObject(t *testing.T) {
	for _, body := range []string{`{"data": {}}`, `{}`, `{"data": {"user": 1}}`} {
		if resp, err := newClient(t, serve(t, answers(200, body))).Login(t.Context()); err != nil || resp == nil {
			t.Errorf("%s: %v, %v", body, resp, err)
		}
	}
}

var (
	project = ProjectRef{Project: "p"}
	job     = JobRef{Project: "p", Job: "j"}
)
