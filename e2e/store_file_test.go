package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// endsWithin is how long a program may take that nothing holds up, on a busy machine.
const endsWithin = time.Minute

// ends runs a program that must end by itself.
func ends(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	timer := time.AfterFunc(endsWithin, func() {
		t.Errorf("%s does not end", cmd)
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	return outcomeOf(t, cmd)
}

// eventually asks until the answer has the status: within a second a server forgets what it knew.
func (s *apiServer) eventually(t *testing.T, token, path string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endsWithin)
	defer cancel()
	for last := 0; ; {
		response, err := http.DefaultClient.Do(newRequest(t, s, token, path).WithContext(ctx))
		if err != nil {
			t.Fatalf("%v, and %d before, want %d", err, last, status)
		}
		response.Body.Close()
		if last = response.StatusCode; last == status {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestServerFollowsTheFileOfItsStore(t *testing.T) {
	for name, remove := range map[string]func(file string) error{
		"removed": os.Remove,
		"removed with SQLite's own files": func(file string) error {
			files, err := filepath.Glob(file + "*")
			for _, name := range files {
				err = os.Remove(name)
			}
			return err
		},
		"moved": func(file string) error { return os.Rename(file, file+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			store, token := documentedStore(t)
			file, admin := strings.TrimPrefix(store, "sqlite:"), freeAddress(t)
			s := serve(t, store, "--admin-addr", admin)
			ready := func(want int) {
				t.Helper()
				if status, text := read(t, "http://"+admin+"/readyz"); status != want {
					t.Errorf("/readyz: %d %s, want %d", status, text, want)
				}
			}
			ask(t, s, token, runPath, http.StatusOK)
			ready(http.StatusOK)

			if err := remove(file); err != nil {
				t.Fatal(err)
			}
			ready(http.StatusServiceUnavailable)
			s.eventually(t, token, runPath, http.StatusServiceUnavailable)
			if _, err := os.Stat(file); err == nil {
				t.Error("the server has made an empty store")
			}

			// Another store comes by a program that makes it.
			other := output(t, "jobrund", "token", "create", "--name", "other", "--store", store)
			s.eventually(t, token, runPath, http.StatusUnauthorized)
			ready(http.StatusOK)
			s.eventually(t, other, runPath, http.StatusNotFound)

			// And one by a move: what SQLite has left of the one before it is none of its own.
			third, token := documentedStore(t)
			if err := os.Rename(strings.TrimPrefix(third, "sqlite:"), file); err != nil {
				t.Fatal(err)
			}
			s.eventually(t, other, "/v1/login", http.StatusUnauthorized)
			ask(t, s, token, runPath, http.StatusOK)
			intact(t, store)

			if err := os.WriteFile(file+".new", []byte(strings.Repeat("not a database\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
			ready(http.StatusServiceUnavailable)
			s.eventually(t, token, runPath, http.StatusServiceUnavailable)
			if state := s.stop(t, syscall.SIGTERM); state.ExitCode() != 0 {
				t.Errorf("%s", state)
			}
			for _, want := range []string{file + ": no such file", file + " is not a SQLite database"} {
				if !strings.Contains(s.log.String(), want) {
					t.Errorf("the log does not say %q", want)
				}
			}
		})
	}
}

func TestJobrunDoesNotRecordInARemovedFile(t *testing.T) {
	t.Parallel() // it waits for the store to come back
	a := newAPI(t, newStore(t))
	file := strings.TrimPrefix(a.store, "sqlite:")
	cmd := recorded(t, a.store, "read line")
	stdin, _, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, runID(t, readLine(t, stderr)), func(*model.JobRun) bool { return true })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "end\n"); err != nil {
		t.Fatal(err)
	}
	if warning := readLine(t, stderr); !strings.Contains(warning, file+": no such file") {
		t.Errorf("the warning is %q", warning)
	}
	kill(t, cmd.Process.Pid, syscall.SIGTERM, "") // or it waits for the file to come back
	rest, err := io.ReadAll(stderr)
	if got := exitStatus(t, cmd.Wait()); err != nil || got != 0 || !strings.Contains(string(rest), "\n{") {
		t.Errorf("%d, %v, %s, want the line to import", got, err, rest)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("jobrun has made an empty store")
	}
}

func TestOnlyCommandsThatWriteMakeAStore(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"", "--store=sqlite:named.db"} {
		name := "jobruns.db"
		if store != "" {
			name = "named.db"
		}
		run := func(directory, command string) outcome {
			cmd := named(t, strings.Fields(strings.Replace(command, "STORE", store, 1))...)
			cmd.Dir = directory
			return ends(t, cmd)
		}
		for _, command := range []string{
			"token list STORE", "token revoke n STORE", "prune --older-than 1h STORE", "serve --addr 127.0.0.1:0 STORE",
		} {
			if store != "" && strings.HasPrefix(command, "serve") {
				continue // it may
			}
			directory := t.TempDir()
			got := run(directory, command)
			files, err := os.ReadDir(directory)
			if err != nil || len(files) > 0 {
				t.Errorf("%s has made %v, %v", command, files, err)
			}
			if got.status != 1 || !strings.Contains(got.stderr, filepath.Join(directory, name)) ||
				!strings.Contains(got.stderr, "--store") {
				t.Errorf("%s: %+v", command, got)
			}
		}
		for _, command := range []string{
			"jobrun --project p --job j STORE -- true", "token create --name n STORE", "import STORE " + os.DevNull,
		} {
			directory := t.TempDir()
			for i, says := range []bool{store == "", false} { // once
				got := run(directory, strings.Replace(command, "--name n", "--name n"+string(rune('0'+i)), 1))
				told := strings.Contains(got.stderr, "new store "+filepath.Join(directory, name)+"\n")
				if got.status != 0 || told != says {
					t.Errorf("%s: %+v, want the new store to be told: %t", command, got, says)
				}
			}
		}
	}
}

// TestTwoUsersShareAStore has root's recorder and a user's server come first in turn.
func TestTwoUsersShareAStore(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root")
		}
		t.Skip("only root can be two users")
	}
	const uid, group, otherUID = 65534, 65533, 65532
	user := func(uid uint32, store string) func() outcome {
		return func() outcome {
			cmd := recorded(t, store, "true")
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
				Uid: uid, Gid: uid, Groups: []uint32{group},
			}}
			if uid == 0 {
				cmd.SysProcAttr = nil
			}
			return ends(t, cmd)
		}
	}
	reachable := func(t *testing.T) string {
		directory, err := os.MkdirTemp("", "jobruns-users-") // others cannot reach t.TempDir
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(directory) })
		return directory
	}
	if err := os.Chmod(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		owner, group int
		mode         os.FileMode
		users        []uint32
	}{
		"the service first, in its directory": {uid, uid, 0o700, []uint32{uid, 0}},
		"root first, in a group's directory":  {0, group, 0o770 | os.ModeSetgid, []uint32{0, uid, otherUID}},
	} {
		t.Run(name, func(t *testing.T) {
			directory := reachable(t)
			if err := os.Chown(directory, test.owner, test.group); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(directory, test.mode); err != nil {
				t.Fatal(err)
			}
			store := "sqlite:" + filepath.Join(directory, "jobruns.db")
			var s *apiServer
			for _, uid := range slices.Repeat(test.users, 2) {
				if got := user(uid, store)(); got.status != 0 || strings.Contains(got.stderr, "recorded") {
					t.Errorf("uid %d: %+v", uid, got)
				}
				if s == nil { // from now on the files of SQLite's own stay
					s = serve(t, store)
				}
			}
			// Nor does one keep the others from the locks of their leases.
			var owners [2]*syscall.Stat_t
			for i, name := range []string{"jobruns.db", "jobruns.db-leases"} {
				info, err := os.Stat(filepath.Join(directory, name))
				if err != nil {
					t.Fatal(err)
				}
				owners[i] = info.Sys().(*syscall.Stat_t)
			}
			if a, b := owners[0], owners[1]; a.Mode != b.Mode || a.Gid != b.Gid || a.Uid != b.Uid && a.Mode&0o040 == 0 {
				t.Errorf("the database has %o %d:%d, the locks have %o %d:%d", a.Mode, a.Uid, a.Gid, b.Mode, b.Uid,
					b.Gid)
			}
		})
	}
	t.Run("root first, in root's directory", func(t *testing.T) {
		directory := reachable(t)
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		store := "sqlite:" + filepath.Join(directory, "jobruns.db")
		if got := user(0, store)(); got.status != 0 {
			t.Errorf("%+v", got)
		}
		got := user(uid, store)()
		for _, want := range []string{"permission denied", "belongs to uid 0, and this is uid 65534", "group"} {
			if got.status != 0 || !strings.Contains(got.stderr, want) {
				t.Errorf("%+v, without %q", got, want)
			}
		}
	})
}
