package e2e

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// waitFor returns northflank as a command that waits for the run and prints it as JSON.
func waitFor(t testing.TB, url, token, id string, flags ...string) *exec.Cmd {
	t.Helper()
	return program(
		t,
		"northflank",
		append([]string{"get", "job", "run", "--host", url, "--token", token, "--project", "p",
			"--job", "j", "--run", id, "-o", "json", "--wait"}, flags...)...)
}

// waiting is a run that goes on until it is told to end, and somebody who waits for it.
type waiting struct {
	*api
	token    string
	recorder *exec.Cmd
	end      io.Writer // of the command: one line ends it, with that exit status
	id       string
	waiter   *exec.Cmd
	stderr   io.Reader       // of the waiter
	stdout   strings.Builder // complete when the waiter has ended
}

// newWaiting returns when the waiter has seen the run running.
func newWaiting(t *testing.T, store string, flags ...string) *waiting {
	t.Helper()
	w := &waiting{api: newAPI(t, store)}
	w.token = output(t, "jobrund", "token", "create", "--name", "waiter", "--store", store)
	w.recorder = recorded(t, w.api, `read status; exit "$status"`, "--deliver-within", "1m")
	w.recorder.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end the command with its recorder
	stdin, _, stderr := pipes(t, w.recorder)
	start(t, w.recorder)
	w.end, w.id = stdin, runID(t, readLine(t, stderr))

	w.waiter = waitFor(t, w.server.url, w.token, w.id, flags...)
	w.waiter.Stdout = &w.stdout
	waiterErr, err := w.waiter.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.stderr = waiterErr
	start(t, w.waiter)
	if line := readLine(t, w.stderr); !strings.Contains(line, "RUNNING") {
		t.Fatalf("the waiter says %q", line)
	}
	return w
}

// start starts a process that does not outlive the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// tell ends the run with an exit status.
func (w *waiting) tell(t *testing.T, status string) {
	t.Helper()
	if _, err := io.WriteString(w.end, status+"\n"); err != nil {
		t.Fatal(err)
	}
}

// want checks how the waiter ends, and what it prints of the run.
func (w *waiting) want(t *testing.T, status int, run model.JobRunStatus) {
	t.Helper()
	rest, _ := io.ReadAll(w.stderr)
	if got := exitStatus(t, w.waiter.Wait()); got != status ||
		!strings.Contains(w.stdout.String(), `"status": "`+string(run)+`"`) {
		t.Errorf("exit status %d, want %d and %s\n%s%s", got, status, run, w.stdout.String(), rest)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status string // of the command
		want   int
		run    model.JobRunStatus
	}{
		"success": {"0", 0, model.JobRunStatusSuccess},
		"failure": {"7", 3, model.JobRunStatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWaiting(t, newStore(t))
			w.tell(t, test.status)
			w.want(t, test.want, test.run)
			// Whoever comes later need not wait.
			if got := exitStatus(t, waitFor(t, w.server.url, w.token, w.id).Run()); got != test.want {
				t.Errorf("afterwards: exit status %d, want %d", got, test.want)
			}
		})
	}
}

func TestWaitUntilTheTimeout(t *testing.T) {
	t.Parallel()
	w := newWaiting(t, newStore(t), "--timeout", "1s")
	w.want(t, 4, model.JobRunStatusRunning)
	w.tell(t, "0")
}

func TestWaitForWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "waiter", "--store", a.store)
	for flag, want := range map[string]string{"0": "not found", "1s": " yet; asking again\n"} {
		out, err := waitFor(t, a.server.url, token, "nothing", "--wait-for-start", flag).CombinedOutput()
		if got := exitStatus(t, err); got != 1 || !strings.Contains(string(out), want) {
			t.Errorf("--wait-for-start %s: exit status %d: %s", flag, got, out)
		}
	}
}

// TestWaitBeforeTheRunIsRecorded waits for a run that another program stores later.
func TestWaitBeforeTheRunIsRecorded(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "waiter", "--store", a.store)
	waiter := waitFor(t, a.server.url, token, "later", "--wait-for-start", "1h")
	_, stdout, stderr := pipes(t, waiter)
	start(t, waiter)
	tells := func(want string) {
		t.Helper()
		if line := readLine(t, stderr); !strings.Contains(line, want) {
			t.Fatalf("the waiter says %q, want %q", line, want)
		}
	}
	record := func(run string) {
		t.Helper()
		importing := program(t, "jobrund", "import", "--store", a.store)
		importing.Stdin = strings.NewReader(
			`{"projectId": "p", "jobId": "j", "run": {"id": "later", "backoffLimit": 0, ` +
				`"runName": "later", "startedAt": "2020-12-08T11:47:08Z", ` + run + `}}`,
		)
		if out, err := importing.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	tells(`has no run "later" of job "j" in project "p" yet`)
	record(
		`"active": 1, "completions": 0, "concluded": false, "concludedAt": null, "failed": 0, "status": "RUNNING", ` +
			`"succeeded": 0`,
	)
	tells("RUNNING")
	record(`"active": 0, "completions": 1, "concluded": true, "concludedAt": "2020-12-08T11:52:08Z", "failed": 0, ` +
		`"status": "SUCCESS", "succeeded": 1`)
	out, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if got := exitStatus(t, waiter.Wait()); got != 0 || !strings.Contains(string(out), `"status": "SUCCESS"`) {
		t.Errorf("exit status %d: %s", got, out)
	}
}

// TestWaitThroughARestart stops the server under a waiter and a recorder, which ends its command, and
// serves again at the same address.
func TestWaitThroughARestart(t *testing.T) {
	t.Parallel()
	w := newWaiting(t, newStore(t))
	w.server.stop(t, syscall.SIGTERM)
	w.tell(t, "0")
	soon(t, func() error {
		if len(spooled(w.recorder)) == 0 {
			return errors.New("the spool is empty")
		}
		return nil
	})
	serve(t, w.store, "--addr", strings.TrimPrefix(w.server.url, "http://"))
	w.want(t, 0, model.JobRunStatusSuccess)
	if err := w.recorder.Wait(); err != nil {
		t.Error(err)
	}
}

// TestWaitForARunWhoseRecorderIsKilled kills jobrun with its command.
func TestWaitForARunWhoseRecorderIsKilled(t *testing.T) {
	t.Parallel()
	testKilledRecorder(t, newStore(t))
}

func testKilledRecorder(t *testing.T, store string) {
	w := newWaiting(t, store)
	if err := syscall.Kill(-w.recorder.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	listenFor(t, store, 130*time.Second) // more than the heartbeat timeout and what is not counted yet
	w.want(t, 3, model.JobRunStatusFailed)
	run := w.run(t, w.id)
	if !run.Concluded || run.ConcludedAt == nil || run.ConcludedAt.Before(run.StartedAt) ||
		run.ConcludedAt.After(time.Now()) {
		t.Errorf("the run reads %+v", *run)
	}
	why := whyOf(t, w.outcome(t, w.id))
	if why.reason != "RecorderLost" || !strings.HasPrefix(why.message, "its recorder last reported at ") {
		t.Errorf("the outcome is %+v", why)
	}
}
