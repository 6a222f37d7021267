package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// TestServerEndsWhenItsFileIsNoLongerThere changes the file of a store under a server, which must
// neither make another one nor damage the one that is put in its place.
func TestServerEndsWhenItsFileIsNoLongerThere(t *testing.T) {
	for name, change := range map[string]func(file, backup string) error{
		"removed":  func(file, _ string) error { return os.Remove(file) },
		"moved":    func(file, _ string) error { return os.Rename(file, file+".old") },
		"replaced": func(file, backup string) error { return os.Rename(backup, file) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			backup, backupToken := documentedStore(t)
			store, token := documentedStore(t)
			file := strings.TrimPrefix(store, "sqlite:")
			s := serve(t, store)
			ask(t, s, token, runPath, http.StatusOK)
			// These changes stay in SQLite's log.
			output(t, "jobrund", "token", "create", "--name", "later", "--store", store)
			if err := change(file, strings.TrimPrefix(backup, "sqlite:")); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(endsWithin, func() { _ = s.process.Process.Kill() })
			defer timer.Stop()
			<-s.logged
			if err := s.process.Wait(); s.process.ProcessState.ExitCode() != 1 ||
				!strings.Contains(s.log.String(), file+" was moved, removed or replaced") {
				t.Errorf("%v: %s", err, s.log)
			}
			if name == "replaced" {
				ask(t, serve(t, store), backupToken, runPath, http.StatusOK)
				intact(t, store)
			} else if _, err := os.Stat(file); err == nil {
				t.Error("the server has made an empty store")
			}
		})
	}
}

func TestManyStartAtOnce(t *testing.T) {
	for range 5 {
		store := newStore(t)
		testManyStartAtOnce(t, store)
		intact(t, store)
	}
}

// testManyStartAtOnce has many programs find no tables, and make them.
func testManyStartAtOnce(t *testing.T, store string) {
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() { output(t, "jobrund", "token", "create", "--name", fmt.Sprint("n", i), "--store", store) })
	}
	all.Wait()
	if tokens := output(t, "jobrund", "token", "list", "--store", store); strings.Count(tokens, "\nn") != 10 {
		t.Errorf("the tokens are %s", tokens)
	}
	wantDocumented(t, store, importDocumented(t, store))
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
	// jobrun, and the server for another second, have the removed file open, with SQLite's own files.
	token := output(t, "jobrund", "token", "create", "--name", "new", "--store", a.store)
	if _, err := io.WriteString(stdin, "end\n"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stderr)
	if got := exitStatus(
		t,
		cmd.Wait(),
	); err != nil || got != 0 ||
		!strings.Contains(string(rest), file+" was moved, removed or replaced") ||
		!strings.Contains(string(rest), "\n{") {
		t.Errorf("%d, %v, %s, want the line to import", got, err, rest)
	}
	if a.imported(t, string(rest)); countRuns(t, a.store) != 1 {
		t.Errorf("the new store has %d runs", countRuns(t, a.store))
	}
	ask(t, serve(t, a.store), token, "/v1/login", http.StatusOK)
	intact(t, a.store)
}

func TestOnlyCommandsThatWriteMakeAStore(t *testing.T) {
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
		"root first, in the service's directory":         {uid, uid, 0o700, []uint32{0, uid}},
		"the service first, in its directory":            {uid, uid, 0o700, []uint32{uid, 0}},
		"root first, in a group's directory":             {0, group, 0o770 | os.ModeSetgid, []uint32{0, uid, otherUID}},
		"one of the group first, in a group's directory": {0, group, 0o770 | os.ModeSetgid, []uint32{uid, otherUID, 0}},
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
				t.Errorf(
					"the database has %o %d:%d, the locks have %o %d:%d",
					a.Mode,
					a.Uid,
					a.Gid,
					b.Mode,
					b.Uid,
					b.Gid,
				)
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
