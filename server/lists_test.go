package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

const projectsPermission = "Project > Projects > Manage > Read"

// fill stores runs of two jobs in each of two projects of the team: the i-th, which is called
// r<i>, started i hours after the example, and every third has failed.
func (a *api) fill(team string, runs int) {
	for i := range runs {
		record := jobrun.Record{
			Team: team, Project: []string{"p1", "p2"}[i%2], Job: []string{"j1", "j2"}[i/2%2], Run: exampleRun(a),
		}
		record.Run.ID = fmt.Sprintf("r%d", i)
		record.Run.StartedAt = record.Run.StartedAt.Add(time.Duration(i) * time.Hour)
		record.Conclude(record.Run.StartedAt.Add(time.Minute), i%3 != 0, jobrun.End{})
		a.store.runs[record.Key()] = record.Run
	}
}

// ids returns the ids of the results of a page, and its pagination.
func ids(t testing.TB, body []byte) ([]string, model.Pagination) {
	t.Helper()
	var result struct {
		Data       map[string][]struct{ ID string }
		Pagination model.Pagination
	}
	if err := json.Unmarshal(body, &result); err != nil || len(result.Data) != 1 {
		t.Fatalf("%v, %d keys in data, want 1: %s", err, len(result.Data), body)
	}
	ids := []string{}
	for _, results := range result.Data {
		if results == nil {
			t.Fatalf("no list: %s", body)
		}
		for _, r := range results {
			ids = append(ids, r.ID)
		}
	}
	return ids, result.Pagination
}

func TestLists(t *testing.T) {
	a := newAPI(t)
	a.fill("team", 16)
	secret := a.token(allowed())
	runs := "/v1/projects/p1/jobs/j1/runs"
	for path, want := range map[string]string{
		"/v1/projects":                                      "p1 p2",
		"/v1/projects?per_page=1":                           "p1 ...",
		"/v1/projects?per_page=1&page=2":                    "p2",
		"/v1/projects?cursor=p1":                            "p2",
		"/v1/projects?cursor=p2":                            "",
		"/v1/teams/team/projects":                           "p1 p2",
		"/v1/projects/p2/jobs":                              "j1 j2",
		"/v1/projects/p2/jobs?status=SUCCESS":               "j1",
		"/v1/projects/p2/jobs?status=FAILED&status=RUNNING": "j2",
		"/v1/teams/team/projects/p1/jobs?per_page=1":        "j1 ...",
		runs:                        "r12 r8 r4 r0",
		runs + "?per_page=3":        "r12 r8 r4 ...",
		runs + "?per_page=2&page=2": "r4 r0",
		runs + "?status=FAILED":     "r12 r0",
		runs + "?status=RUNNING":    "",
		runs + "?status=SUCCESS&status=FAILED&per_page=4":                            "r12 r8 r4 r0",
		runs + "?since=2020-12-08T15:47:08Z":                                         "r12 r8 r4",
		runs + "?since=2020-12-08T16:47:08%2B01:00":                                  "r12 r8 r4",
		runs + "?until=2020-12-08T19:47:08Z":                                         "r4 r0",
		runs + "?since=2020-12-08T12:00:00.5Z&status=FAILED":                         "r12",
		"/v1/teams/team/projects/p1/jobs/j2/runs":                                    "r14 r10 r6 r2",
		"/v1/projects/p1/runs":                                                       "r14 r12 r10 r8 r6 r4 r2 r0",
		"/v1/projects/p1/runs?status=FAILED":                                         "r12 r6 r0",
		"/v1/projects/p1/runs?jobId=j2&per_page=2":                                   "r14 r10 ...",
		"/v1/projects/p1/runs?jobId=absent":                                          "",
		"/v1/projects/p1/runs?per_page=3&page=2":                                     "r8 r6 r4 ...",
		"/v1/projects/p1/runs?since=2020-12-08T21:47:08Z&until=2020-12-09T00:47:08Z": "r12 r10",
		"/v1/teams/team/projects/p2/runs?per_page=1&status=SUCCESS&status=RUNNING":   "r13 ...",
	} {
		got := a.get(path, secret)
		a.want(got, 200)
		listed, pagination := ids(t, got.body)
		text := strings.Join(listed, " ")
		if pagination.HasNextPage {
			text += " ..."
		}
		if text != want || pagination.Count != len(listed) {
			t.Errorf("%s: %q, %+v, want %q", path, text, pagination, want)
		}
		// A cursor on the last page, even null, has the official client go on for ever.
		if strings.Contains(string(got.body), "cursor") != pagination.HasNextPage {
			t.Errorf("%s: hasNextPage is %t: %s", path, pagination.HasNextPage, got.body)
		}
	}
}

func TestListsTellWhatTheyKnow(t *testing.T) {
	a, secret := newFilledAPI(t)
	run, err := json.Marshal(exampleRun(t))
	if err != nil {
		t.Fatal(err)
	}
	const reason = `,"jobId":"example-job","reason":"Unknown","message":"how it ended was not recorded","host":null}`
	key := exampleKey
	for path, want := range map[string]string{
		"/v1/projects": `{"projects":[{"id":"default-project","name":"default-project"}]}`,
		"/v1/projects/default-project/jobs": `{"jobs":[{"id":"example-job","projectId":"default-project",` +
			`"appId":"/team/default-project/example-job","name":"example-job","tags":[],"jobType":"manual",` +
			`"disabledCI":true,"disabledCD":true}]}`,
		"/v1/teams/team/projects/default-project/jobs?latestRun=true": `{"jobs":[{"id":"example-job",` +
			`"projectId":"default-project","appId":"/team/default-project/example-job","name":"example-job","tags":[],` +
			`"jobType":"manual","disabledCI":true,"disabledCD":true,"latestRun":` + string(run) + `}]}`,
		"/v1/projects/default-project/jobs/" + key.Job + "/runs": `{"runs":[` + string(run) + `]}`,
		"/v1/projects/default-project/runs":                      `{"runs":[` + strings.TrimSuffix(string(run), "}") + reason + `]}`,
	} {
		got := a.get(path, secret)
		want = `{"data":` + want + `,"pagination":{"hasNextPage":false,"count":1}}` + "\n"
		if diff := cmp.Diff(want, string(got.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestGetJobTellsItsState(t *testing.T) {
	a := newAPI(t)
	a.fill("team", 16)
	want := `{"data":{"id":"j1","projectId":"p1","appId":"/team/p1/j1","name":"j1","tags":[],"jobType":"manual",` +
		`"disabledCI":true,"disabledCD":true,"createdAt":"2020-12-08T11:47:08Z","billing":{"deploymentPlan":""},` +
		`"settings":{"backoffLimit":0,"activeDeadlineSeconds":0},"cluster":{"id":"","name":""},"state":{"latestRun":`
	run, err := json.Marshal(a.store.runs[jobrun.Key{Team: "team", Project: "p1", Job: "j1", Run: "r12"}])
	if err != nil {
		t.Fatal(err)
	}
	want += string(run) + `,"latestSuccess":{"id":"r8","startedAt":"2020-12-08T19:47:08Z",` +
		`"concludedAt":"2020-12-08T19:48:08Z"},"latestFailure":{"id":"r12","startedAt":"2020-12-08T23:47:08Z",` +
		`"concludedAt":"2020-12-08T23:48:08Z"},"failuresInARow":1,"running":0}}}` + "\n"
	for _, path := range []string{"/v1/projects/p1/jobs/j1", "/v1/teams/team/projects/p1/jobs/j1"} {
		got := a.get(path, a.token(allowed()))
		a.want(got, 200)
		if diff := cmp.Diff(want, string(got.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestListsAreWalkedByTheirCursors does what the official client does: it puts the cursor into the
// URL as it is.
func TestListsAreWalkedByTheirCursors(t *testing.T) {
	a := newAPI(t)
	a.fill("team", 100)
	secret := a.token(allowed())
	for path, want := range map[string]int{
		"/v1/projects": 2, "/v1/projects/p1/jobs": 2, "/v1/projects/p1/jobs/j1/runs": 25, "/v1/projects/p1/runs": 50,
	} {
		var all []string
		for cursor := ""; ; {
			got := a.get(path+"?per_page=1"+cursor, secret)
			a.want(got, 200)
			listed, pagination := ids(t, got.body)
			all = append(all, listed...)
			if !pagination.HasNextPage {
				break
			}
			if url.QueryEscape(pagination.Cursor) != pagination.Cursor {
				t.Fatalf("%s: the cursor %q has to be escaped", path, pagination.Cursor)
			}
			cursor = "&cursor=" + pagination.Cursor
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(all))); len(distinct) != want || len(all) != want {
			t.Errorf("%s: %d results, %d of them different, want %d", path, len(all), len(distinct), want)
		}
	}
}

func TestListsRefuseBadPages(t *testing.T) {
	a := newAPI(t)
	a.fill("team", 4)
	secret := a.token(allowed())
	const runs, ofProject, jobs = "/v1/projects/p1/jobs/j1/runs?", "/v1/projects/p1/runs?", "/v1/projects/p1/jobs?"
	for query, want := range map[string]model.ErrorDetails{
		"per_page=0":               {Parameter: "per_page", Rule: "minimum"},
		"per_page=101":             {Parameter: "per_page", Rule: "maximum"},
		"per_page=x":               {Parameter: "per_page", Rule: "type"},
		"page=0":                   {Parameter: "page", Rule: "minimum"},
		"page=201":                 {Parameter: "page", Rule: "maximum"},
		"page=10000&per_page=2":    {Parameter: "page", Rule: "maximum"},
		"page=9223372036854775807": {Parameter: "page", Rule: "maximum"},
		"cursor=":                  {Parameter: "cursor", Rule: "allowEmptyValue"},
		"cursor=r0":                {Parameter: "cursor", Rule: "pattern"},
		"cursor=1.%2F":             {Parameter: "cursor", Rule: "pattern"},
		"status=failed":            {Parameter: "status", Rule: "enum"},
		"status=FAILED&status=FAILED&status=FAILED&status=FAILED": {Parameter: "status", Rule: "maxItems"},
		"since=yesterday":         {Parameter: "since", Rule: "format"},
		"until=2020-12-08":        {Parameter: "until", Rule: "format"},
		ofProject + "page=201":    {Parameter: "page", Rule: "maximum"},
		ofProject + "cursor=1.r0": {Parameter: "cursor", Rule: "pattern"}, // of a job
		ofProject + "jobId=":      {Parameter: "jobId", Rule: "allowEmptyValue"},
		ofProject + "jobId=a%2Fb": {Parameter: "jobId", Rule: "pattern"},
		ofProject + "status=OK":   {Parameter: "status", Rule: "enum"},
		jobs + "latestRun=1":      {Parameter: "latestRun", Rule: "type"},
	} {
		if !strings.HasPrefix(query, "/") {
			query = runs + query
		}
		got := a.get(query, secret)
		a.want(got, 400)
		if diff := cmp.Diff(want, got.err.Details); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", query, diff, got.body)
		}
	}
	for _, query := range []string{"page=200", "page=100&per_page=100", "page=10000&per_page=1", "cursor=-1.x&page=10000&per_page=100"} {
		a.want(a.get(runs+query, secret), 200)
	}
}

func TestListsShowOnlyWhatATokenMaySee(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*jobrun.Token)
		want   map[string]int // the status of a path
		listed []string       // the projects, where there is a list
	}{
		{
			name: "one project", change: func(t *jobrun.Token) { t.Projects = []string{"p2", "absent"} },
			want: map[string]int{
				"/v1/projects": 200, "/v1/projects/p1/jobs": 403, "/v1/projects/p2/jobs": 200, "/v1/projects/absent/jobs": 404,
				"/v1/projects/p1/jobs/j1/runs": 403, "/v1/projects/p2/jobs/j1/runs": 200, "/v1/projects/p2/jobs/absent/runs": 404,
				"/v1/projects/p1/runs": 403, "/v1/projects/p2/runs": 200, "/v1/projects/absent/runs": 404,
				"/v1/projects/p1/jobs/j1": 403, "/v1/projects/p2/jobs/j1": 200, "/v1/projects/p2/jobs/absent": 404,
			},
			listed: []string{"p2"},
		},
		{
			name: "another team", change: func(t *jobrun.Token) { t.Teams = []string{"other"} },
			want: map[string]int{
				"/v1/projects": 200, "/v1/teams/team/projects": 403, "/v1/projects/p1/jobs": 404, "/v1/projects/p1/jobs/j1/runs": 404,
				"/v1/teams/team/projects/p1/jobs": 403, "/v1/teams/team/projects/p1/jobs/j1/runs": 403,
				"/v1/projects/p1/runs": 404, "/v1/teams/team/projects/p1/runs": 403,
				"/v1/projects/p1/jobs/j1": 404, "/v1/teams/team/projects/p1/jobs/j1": 403,
			},
			listed: []string{},
		},
		{
			name: "several teams", change: func(t *jobrun.Token) { t.Teams = []string{"other", "team"} },
			want: map[string]int{
				"/v1/projects": 400, "/v1/teams/team/projects": 200, "/v1/projects/p1/jobs": 400, "/v1/teams/team/projects/p1/jobs": 200,
				"/v1/projects/p1/runs": 400, "/v1/teams/team/projects/p1/runs": 200,
				"/v1/projects/p1/jobs/j1": 400, "/v1/teams/team/projects/p1/jobs/j1": 200,
			},
		},
		{
			name: "runs, not projects", change: func(t *jobrun.Token) { t.Permissions = []string{readPermission} },
			want: map[string]int{
				"/v1/projects": 403, "/v1/projects/p1/jobs": 200, "/v1/projects/p1/runs": 200, "/v1/projects/p1/jobs/j1": 200,
			},
		},
		{
			name: "projects, not runs", change: func(t *jobrun.Token) { t.Permissions = []string{projectsPermission} },
			want: map[string]int{
				"/v1/projects": 200, "/v1/projects/p1/jobs": 403, "/v1/projects/p1/jobs/j1/runs": 403,
				"/v1/projects/p1/runs": 403, "/v1/projects/p1/jobs/j1": 403,
			},
			listed: []string{"p1", "p2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			a.fill("team", 8)
			token := allowed()
			test.change(&token)
			secret := a.token(token)
			for path, status := range test.want {
				got := a.get(path, secret)
				a.want(got, status)
				if path == "/v1/projects" && status == 200 {
					if listed, _ := ids(t, got.body); !slices.Equal(listed, test.listed) {
						t.Errorf("projects %q, want %q", listed, test.listed)
					}
				}
			}
		})
	}
}
