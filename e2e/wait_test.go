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
