package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

func refTo(id string) client.RunRef { return client.RunRef{Project: "p", Job: "j", Run: id} }

// outcome returns the outcome of the run as the API tells it.
func (a *api) outcome(t testing.TB, id string) *model.JobRunOutcome {
	t.Helper()
	outcome, _, err := a.GetJobRunOutcome(t.Context(), refTo(id))
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// why is what an outcome says, without its attempts; "" stands for null, and -1.
type why struct {
	reason, message string
	exitStatus      int
	signal          string
}

// whyOf returns what the outcome and its last attempt say, which is on this host.
func whyOf(t testing.TB, o *model.JobRunOutcome) (run, attempt why) {
	t.Helper()
	of := func(reason, message *string, status *int, signal *string) why {
		w := why{exitStatus: -1}
		for from, to := range map[*string]*string{reason: &w.reason, message: &w.message, signal: &w.signal} {
			if from != nil {
				*to = *from
			}
		}
		if status != nil {
			w.exitStatus = *status
		}
		return w
	}
	host, err := os.Hostname()
	if err != nil || o.Host == nil || *o.Host != host {
		t.Errorf("recorded on %v, want %s (%v)", o.Host, host, err)
	}
	if n := len(o.Attempts); n > 0 {
		a := o.Attempts[n-1]
		attempt = of(&a.Reason, &a.Message, a.ExitStatus, a.Signal)
	}
	return of(o.Reason, o.Message, o.ExitStatus, o.Signal), attempt
}

// TestOutcomeOfAnInterruptedRun has runs that end in ways that only the whole program knows.
func TestOutcomeOfAnInterruptedRun(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	t.Run("interrupted", func(t *testing.T) {
		wantInterrupted(t, a, `echo ready; exec sleep 60`, why{"Interrupted", "interrupted by signal 15 (TERM)", -1, "TERM"},
			why{"Interrupted", "interrupted by signal 15 (TERM)", -1, "TERM"})
		wantInterrupted(t, a, `trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done`,
			why{"Interrupted", "interrupted by signal 15 (TERM): exit status 7", 7, ""},
			why{"Interrupted", "interrupted by signal 15 (TERM): exit status 7", 7, ""})
	})
	t.Run("interrupted between attempts", func(t *testing.T) {
		cmd := recorded(t, a.store, "exit 5", "--backoff-limit", "1", "--backoff", "1h")
		_, _, stderr := pipes(t, cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		id := runID(t, readLine(t, stderr))
		a.eventually(t, id, func(r *model.JobRun) bool { return r.Completions == 1 })
		going := a.outcome(t, id)
		if run, attempt := whyOf(t, going); run != (why{exitStatus: -1}) || attempt.message != "exit status 5" {
			t.Errorf("before: %+v, attempt %+v", run, attempt)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		want := why{"Interrupted", "interrupted by signal 15 (TERM) before the next attempt: exit status 5", 5, ""}
		run, attempt := whyOf(t, a.outcome(t, id))
		if run != want || attempt != (why{"ExitStatus", "exit status 5", 5, ""}) {
			t.Errorf("%+v, attempt %+v", run, attempt)
		}
	})
}

// wantInterrupted asks jobrun to end while its command runs.
func wantInterrupted(t *testing.T, a *api, script string, want, wantAttempt why) {
	t.Helper()
	cmd := recorded(t, a.store, script)
	_, stdout, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := runID(t, readLine(t, stderr))
	readLine(t, stdout)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if run, attempt := whyOf(t, a.outcome(t, id)); run != want || attempt != wantAttempt {
		t.Errorf("%+v, attempt %+v", run, attempt)
	}
}

// A run that was recorded or imported without an outcome has none that is known. One that was
// exported by a recorder which could not store it comes back as it was.
func TestOutcomesAreImported(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	cmd := recorded(t, "sqlite:/nowhere/jobruns.db", "exit 23", "--run", "r")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	_ = cmd.Run() // its status is another test's
	line := stderr.String()[strings.Index(stderr.String(), "{"):]
	if got := importText(t, a.store, line); got != imported(1) {
		t.Errorf("%+v", got)
	}
	if run, attempt := whyOf(t, a.outcome(t, "r")); run != (why{"ExitStatus", "exit status 23", 23, ""}) || attempt != run {
		t.Errorf("%+v, attempt %+v", run, attempt)
	}
	var without map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &without); err != nil {
		t.Fatal(err)
	}
	delete(without, "outcome")
	text, err := json.Marshal(without)
	if err != nil {
		t.Fatal(err)
	}
	if got := importText(t, a.store, string(text)); got != imported(1) {
		t.Errorf("%+v", got)
	}
	if o := a.outcome(t, "r"); o.Reason == nil || *o.Reason != "Unknown" || o.Host != nil || len(o.Attempts) != 0 {
		t.Errorf("imported without: %+v", o)
	}
	if _, _, err := a.GetJobRunOutcome(t.Context(), refTo("none")); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("no run: %v", err)
	}
	refused := importText(t, a.store, strings.Replace(line, `"exitStatus":23`, `"exitStatus":256`, 1))
	if refused.status != 1 || !strings.Contains(refused.stderr, "line 1: outcome.exitStatus") {
		t.Errorf("%+v", refused)
	}
}

// A token that nobody gave the permission by its name reads no output.
func TestOutputNeedsItsOwnPermission(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	cmd := recorded(t, a.store, "echo secret", "--run", "r", "--keep-output", "1KiB")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/projects/p/jobs/j/runs/r/output"
	states := output(t, "jobrund", "token", "create", "--name", "states", "--store", a.store)
	if message := ask(t, a.server, states, path, http.StatusForbidden); !strings.Contains(message, logsPermission) {
		t.Errorf("refused: %s", message)
	}
	both := a.logsClient(t)
	if got, _, err := both.GetJobRunOutput(t.Context(), refTo("r")); err != nil || got.Output == nil || *got.Output != "secret\n" {
		t.Errorf("%+v, %v", got, err)
	}
}

const logsPermission = "Project > Observability > Logs > Read"

// logsClient returns a client that may read what commands print, and runs.
func (a *api) logsClient(t testing.TB) *client.Client {
	t.Helper()
	token := output(t, "jobrund", "token", "create", "--name", "logs", "--store", a.store,
		"--permission", "Project > Jobs > General > Read", "--permission", logsPermission)
	c := newClient(t, a.server, token)
	return c
}
