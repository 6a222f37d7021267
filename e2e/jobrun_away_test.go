package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/gen/model"
)

// prompt is less than a recorder tries to record after its command.
const prompt = 5 * time.Second

// storesAway returns stores that cannot be used now, but maybe later.
func storesAway(t *testing.T) map[string]string {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	return map[string]string{
		"nobody listens": "postgres://user:secret@" + freeAddress(t) + "/db",
		"silent":         "postgres://user:secret@" + silent.Addr().String() + "/db",
		"new and locked": locked(t, newStore(t)),
		"locked":         locked(t, usedStore(t)),
	}
}

// usedStore returns the URL of a store that has a run.
func usedStore(t *testing.T) string {
	t.Helper()
	store := newStore(t)
	if got := outcomeOf(t, recorded(t, store, "true", "--quiet")); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	return store
}

// locked locks a file as SQLite does that writes, for a process that does not go on
// (https://sqlite.org/src/file/src/os.h, PENDING_BYTE). A file in use has its locks beside it
// (https://sqlite.org/walformat.html, section 2.3).
func locked(t *testing.T, store string) string {
	t.Helper()
	path, first := strings.TrimPrefix(store, "sqlite:"), int64(1<<30)
	if _, err := os.Stat(path); err == nil {
		path, first = path+"-shm", 120
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := unix.FcntlFlock(
		file.Fd(),
		unix.F_SETLK,
		&unix.Flock_t{Type: unix.F_WRLCK, Start: first, Len: 1},
	); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestJobrunStartsAtOnceThoughTheStoreIsAway(t *testing.T) {
	for name, store := range storesAway(t) {
		cmd := recorded(t, store, "echo ran; read line")
		_, stdout, _ := pipes(t, cmd)
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		readLine(t, stdout)
		if took := time.Since(begin); took > prompt {
			t.Errorf("%s: it started after %s", name, took)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
}

func TestJobrunGivesTheLineWhenASignalComesAfterTheCommand(t *testing.T) {
	a := newAPI(t, newStore(t))
	for name, store := range storesAway(t) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
			t.Run(name+", "+sig.String(), func(t *testing.T) {
				t.Parallel() // it mostly waits
				cmd := recorded(t, store, "read line; exit 3")
				stdin, _, stderr := pipes(t, cmd)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				awaitWitness(t, cmd.Process.Pid)
				stdin.Close()
				for len(children(t, cmd.Process.Pid)) > 0 { // until jobrun has noticed the command's end
					time.Sleep(time.Millisecond)
				}
				begin := time.Now()
				for range 2 {
					kill(t, cmd.Process.Pid, sig, "")
				}
				text, _ := io.ReadAll(stderr)
				if got := exitStatus(t, cmd.Wait()); got != 3 {
					t.Errorf("exit status %d, want the command's, 3", got)
				}
				if took := time.Since(begin); took > prompt {
					t.Errorf("it ended after %s", took)
				}
				a.imported(t, string(text))
				if run := a.run(t, runID(t, string(text))); run.Status != model.JobRunStatusFailed {
					t.Errorf("imported %+v", *run)
				}
			})
		}
	}
}

// TestJobrunGivesTheLineBeforeASupervisorKillsIt counts from the signal that the supervisor sends.
func TestJobrunGivesTheLineBeforeASupervisorKillsIt(t *testing.T) {
	away := storesAway(t)
	for _, name := range []string{"silent", "locked"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			cmd := recorded(t, away[name], `trap 'sleep 3; exit 7' TERM; echo ready; while :; do sleep 0.01; done`)
			_, stdout, stderr := pipes(t, cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			readLine(t, stdout)
			begin := time.Now()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
			text, _ := io.ReadAll(stderr)
			if got := exitStatus(t, cmd.Wait()); got != 7 || !strings.Contains(string(text), "jobrund import") {
				t.Errorf("after %s: exit status %d, %s", time.Since(begin), got, text)
			}
		})
	}
}

// TestJobrunDoesNotWaitForAStoppedOne stops one a little later each time. One that is writing
// with SQLite's lock is left out: nobody can go on then.
func TestJobrunDoesNotWaitForAStoppedOne(t *testing.T) {
	store := usedStore(t)
	left := 0
	for delay := range 40 {
		stopped := recorded(t, store, "true", "--quiet")
		if err := stopped.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(delay) * 500 * time.Microsecond)
		kill(t, stopped.Process.Pid, syscall.SIGSTOP, "")
		if waitsStopped(t, stopped.Process.Pid) && !locksOthersOut(t, stopped.Process.Pid) {
			left++
			begin := time.Now()
			if got := outcomeOf(t, recorded(t, store, "true", "--quiet")); got != (outcome{}) {
				t.Errorf("another: %+v", got)
			}
			if took := time.Since(begin); took > prompt {
				t.Errorf("another ended after %s", took)
			}
		}
		kill(t, stopped.Process.Pid, syscall.SIGCONT, "")
		if err := stopped.Wait(); err != nil {
			t.Error(err)
		}
	}
	if left == 0 {
		t.Error("none was stopped without a lock")
	}
}

// waitsStopped waits until a process that was signaled to stop has stopped. It returns false if the
// process has ended.
func waitsStopped(t *testing.T, pid int) bool {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		switch text[strings.LastIndex(string(text), ")")+2] {
		case 'T':
			return true
		case 'Z':
			return false
		}
	}
}

// locksOthersOut reports whether a process has a lock for itself alone.
func locksOthersOut(t *testing.T, pid int) bool {
	t.Helper()
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(locks), fmt.Sprintf(" WRITE %d ", pid))
}
