package server_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

const logsPermission = "Project > Observability > Logs > Read"

func TestOutcomeAndOutput(t *testing.T) {
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
	text := "a\x1b[31m\x00\n"
	for want, output := range map[string]model.JobRunOutput{
		`{"data":{"output":null}}`:                  {},
		`{"data":{"output":"a\u001b[31m\u0000\n"}}`: {Output: &text},
	} {
		a.store.output = output
		for _, path := range []string{path, teamPath} {
			got := a.get(path+"/output", secret)
			a.want(got, 200)
			if diff := cmp.Diff(want+"\n", string(got.body)); diff != "" {
				t.Errorf("the output (-want +got):\n%s", diff)
			}
		}
	}
	for _, of := range []string{"/outcome", "/output"} {
		a.want(a.get(runPath(t, keyWith(exampleKey, "runId", "none"))+of, secret), 404)
	}
}

// A token for states reads no output, and one for output reads no state.
func TestOutputNeedsItsOwnPermission(t *testing.T) {
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
		{states, path + "/output", 403, logsPermission},
		{logs, path + "/output", 200, ""},
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
