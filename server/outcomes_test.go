package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

const logsPermission = "Project > Jobs > Deployment > View Instance Logs"

func TestOutcome(t *testing.T) {
	a, secret := newFilledAPI(t)
	path, teamPath := runPath(t, exampleKey), teamRunPath(t, exampleKey)
	status, start := 23, time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	end := jobrun.End{Reason: jobrun.ReasonExitStatus, Message: `exit "status" 23`, ExitStatus: &status}
	r := jobrun.Record{Outcome: jobrun.NewOutcome("web-1")}
	for _, want := range []string{
		`{"data":{"reason":null,"message":null,"exitStatus":null,"signal":null,"host":"web-1","attempts":[]}}`,
		`{"data":{"reason":"ExitStatus","message":"exit \"status\" 23","exitStatus":23,"signal":null,"host":"web-1",` +
			`"attempts":[{"number":1,"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z",` +
			`"reason":"ExitStatus","message":"exit \"status\" 23","exitStatus":23,"signal":null}]}}`,
	} {
		a.store.outcome = r.Outcome
		for _, path := range []string{path, teamPath} {
			got := a.get(path+"/outcome", secret)
			a.want(got, 200)
			if diff := cmp.Diff(want+"\n", string(got.body)); diff != "" {
				t.Errorf("the outcome (-want +got):\n%s", diff)
			}
		}
		r.AddAttempt(start, start.Add(5*time.Minute), end)
		r.Conclude(start, false, end)
	}
	a.want(a.get(runPath(t, keyWith(exampleKey, "runId", "none"))+"/outcome", secret), 404)
}

// jobLogs returns the path of the logs of the example's job.
func jobLogs(t *testing.T, operation string) string {
	return operationOf(t, operation).path(pathValues(exampleKey))
}

func TestJobLogs(t *testing.T) {
	a, secret := newFilledAPI(t)
	newer := exampleRun(t)
	newer.ID, newer.StartedAt = "newer", newer.StartedAt.Add(time.Hour)
	a.store.runs[keyWith(exampleKey, "runId", "newer")] = newer
	at := time.Date(2020, 12, 8, 11, 52, 7, 25e7, time.UTC)
	a.store.logs = []model.JobLogLine{
		{ContainerID: "web-1", Log: "a\x1b[31m\x00", TS: at}, {ContainerID: "web-1", Log: "b", TS: at.Add(time.Second)},
	}
	const lineA = `{"containerId":"web-1","log":"a\u001b[31m\u0000","ts":"2020-12-08T11:52:07.25Z"}`
	const lineB = `{"containerId":"web-1","log":"b","ts":"2020-12-08T11:52:08.25Z"}`
	for _, test := range []struct {
		query string
		want  string // the lines, or the parameter and the rule that it breaks
		run   string // whose log the server reads
	}{
		{"", lineA + "," + lineB, "newer"},
		{"?runId=" + exampleKey.Run, lineA + "," + lineB, exampleKey.Run},
		{"?queryType=range&direction=forward&lineLimit=1", lineA, "newer"},
		{"?direction=backward&lineLimit=1000", lineB + "," + lineA, "newer"},
		{"?direction=backward&lineLimit=1", lineB, "newer"},
		{"?lineLimit=0", "", "newer"},
		{"?lineLimit=1001", "lineLimit maximum", ""},
		{"?direction=up", "direction enum", ""},
		{"?queryType=tail", "queryType enum", ""},
		{"?runId=a/b", "runId pattern", ""},
		{"?textIncludes=a", "textIncludes parameters", ""},
	} {
		for _, operation := range []string{"getJobLogs", "getTeamJobLogs"} {
			got := a.get(jobLogs(t, operation)+test.query, secret)
			if test.run == "" {
				a.want(got, http.StatusBadRequest)
				if broken := got.err.Details.Parameter + " " + got.err.Details.Rule; broken != test.want {
					t.Errorf("%s: %q, want %q", test.query, broken, test.want)
				}
				continue
			}
			a.want(got, http.StatusOK)
			if diff := cmp.Diff(`{"data":[`+test.want+"]}\n", string(got.body)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.query, diff)
			}
			if read := a.store.lookups[len(a.store.lookups)-1].Run; read != test.run {
				t.Errorf("%s: the logs of run %s, want %s", test.query, read, test.run)
			}
		}
	}
	a.store.logs = nil
	if got := a.get(jobLogs(t, "getJobLogs"), secret); string(got.body) != `{"data":[]}`+"\n" {
		t.Errorf("no lines: %s", got.body)
	}
	a.want(a.get(jobLogs(t, "getJobLogs")+"?runId=none", secret), http.StatusNotFound)
	none := strings.Replace(jobLogs(t, "getJobLogs"), exampleKey.Job, "none", 1)
	a.want(a.get(none, secret), http.StatusNotFound)
}

// A token for states reads no logs, and a token for logs reads no state.
func TestLogsNeedTheirOwnPermission(t *testing.T) {
	a, _ := newFilledAPI(t)
	path := runPath(t, exampleKey)
	with := func(permission string) string {
		token := allowed()
		token.Permissions = []string{permission}
		return a.token(token)
	}
	states, logs := with(readPermission), with(logsPermission)
	for _, test := range []struct {
		secret, path string
		status       int
		missing      string
	}{
		{states, path, 200, ""},
		{states, path + "/outcome", 200, ""},
		{states, jobLogs(t, "getJobLogs"), 403, logsPermission},
		{logs, jobLogs(t, "getJobLogs"), 200, ""},
		{logs, path + "/outcome", 403, readPermission},
		{logs, path, 403, readPermission},
	} {
		got := a.get(test.path, test.secret)
		a.want(got, test.status)
		if got.err.Details.Permission != test.missing {
			t.Errorf("%s: the missing permission is %q, want %q", test.path, got.err.Details.Permission, test.missing)
		}
	}
}
