package e2e

import (
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
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK,
		&unix.Flock_t{Type: unix.F_WRLCK, Start: first, Len: 1}); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestJobrunStartsAtOnceThoughTheStoreIsAway(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	a, away := newAPI(t, newStore(t)), storesAway(t)
	for name, sig := range map[string]syscall.Signal{"silent": syscall.SIGTERM, "locked": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			cmd := recorded(t, away[name], "read line; exit 3")
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
