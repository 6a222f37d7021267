package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const outcomeBody = `{"data": {"reason": "SomethingNew", "message": "exit status 23", "exitStatus": 23, "signal": null,
	"host": "web-1", "later": 1, "attempts": [{"number": 1, "startedAt": "2020-12-08T11:47:08Z",
	"concludedAt": "2020-12-08T11:52:08Z", "reason": "Signal", "message": "", "exitStatus": null, "signal": "KILL"}]}}`

func TestJobRunOutcome(t *testing.T) {
	var asked []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		io.WriteString(w, outcomeBody)
	})
	team := documentedRef
	team.Team = "my-team"
	for _, ref := range []RunRef{documentedRef, team} {
		got, resp, err := newClient(t, server).JobRunOutcome(t.Context(), ref)
		want := &JobRunOutcome{
			Reason: new("SomethingNew"), Message: new("exit status 23"), ExitStatus: new(23), Host: new("web-1"),
			Attempts: []JobRunAttempt{{
				Number: 1, StartedAt: documentedRun.StartedAt, ConcludedAt: documentedRun.StartedAt.Add(5 * time.Minute),
				Reason: "Signal", Signal: new("KILL"),
			}},
		}
		if diff := cmp.Diff(want, got); err != nil || resp.StatusCode != 200 || diff != "" {
			t.Errorf("%v, outcome (-want +got):\n%s", err, diff)
		}
	}
	const path = "projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723/outcome"
	if diff := cmp.Diff([]string{"/v1/" + path, "/v1/teams/my-team/" + path}, asked); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestJobRunOutput(t *testing.T) {
	for body, want := range map[string]*JobRunOutput{
		`{"data": {"output": "a\u001b[31m\n", "truncated": true}}`: {Output: new("a\x1b[31m\n"), Truncated: true},
		`{"data": {"output": null, "truncated": false}}`:           {},
	} {
		got, _, err := newClient(t, serve(t, answers(200, body))).JobRunOutput(t.Context(), documentedRef)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, output (-want +got):\n%s", err, diff)
		}
	}
}

// calls are the two methods of this file.
var calls = map[string]func(*Client, *testing.T) error{
	"outcome": func(c *Client, t *testing.T) error {
		_, _, err := c.JobRunOutcome(t.Context(), documentedRef)
		return err
	},
	"output": func(c *Client, t *testing.T) error {
		_, _, err := c.JobRunOutput(t.Context(), documentedRef)
		return err
	},
}

// A server that does not know the operation says 404, as for a run that does not exist.
func TestOutcomeTellsAMissingOperationFromAMissingRun(t *testing.T) {
	notFound := `{"error": {"status": 404, "message": "not found"}}`
	for name, test := range map[string]struct {
		status int // of the response to a request for the run
		want   error
	}{
		"an earlier server": {200, ErrUnsupported},
		"no run":            {404, ErrNotFound},
		"not to be seen":    {403, ErrNotFound},
	} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/outcome"), strings.HasSuffix(r.URL.Path, "/output"), test.status == 404:
				answers(404, notFound)(w, r)
			default:
				answers(test.status, documented)(w, r)
			}
		})
		for of, call := range calls {
			err := call(newClient(t, server), t)
			if !errors.Is(err, test.want) || errors.Is(err, ErrUnsupported) && errors.Is(err, ErrNotFound) {
				t.Errorf("%s, %s: %v, want %v", name, of, err, test.want)
			}
		}
	}
}

func TestRunExistsTakesOneRequest(t *testing.T) {
	asked := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		answers(404, `{"error": {"status": 404, "message": "not found"}}`)(w, r)
	})
	_, resp, err := newClient(t, server).JobRunOutcome(t.Context(), documentedRef, RunExists())
	if !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrNotFound) || resp.StatusCode != 404 || asked != 1 {
		t.Errorf("%v after %d requests, want ErrUnsupported after one", err, asked)
	}
}

func TestOutcomeErrors(t *testing.T) {
	for of, call := range calls {
		for body, want := range map[string]string{
			`{}`:             "not the " + of + " of a job run",
			`{"data": null}`: "not the " + of + " of a job run",
			`<html>`:         "not the " + of + " of a job run",
		} {
			err := call(newClient(t, serve(t, answers(200, body))), t)
			if !errors.As(err, new(*Error)) || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s, %s: %v, want %q", of, body, err, want)
			}
		}
		if err := call(newClient(t, serve(t, answers(403, ""))), t); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", of, err)
		}
	}
	c := newClient(t, "http://127.0.0.1:1")
	if _, _, err := c.JobRunOutcome(t.Context(), RunRef{Project: "p", Job: "j"}); err == nil || !strings.Contains(err.Error(), "RunRef.Run is empty") {
		t.Errorf("%v", err)
	}
}
