package e2e

import (
	"errors"
	"fmt"
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
	t.Parallel()
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
	t.Parallel()
	for range 2 {
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

func TestOnlyCommandsThatWriteMakeAStore(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"", "--store=sqlite:named.db"} {
		name := "jobruns.db"
		if store != "" {
			name = "named.db"
		}
		run := func(directory, command string) outcome {
			cmd := program(t, "jobrund", strings.Fields(strings.Replace(command, "STORE", store, 1))...)
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
			"token create --name n STORE", "import STORE " + os.DevNull,
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

// TestErrorsNameTheFileAndTheRemedy has a small file system for a store, in a mount namespace.
func TestErrorsNameTheFileAndTheRemedy(t *testing.T) {
	t.Parallel()
	mount := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "x", t.TempDir())
	if out, err := mount.CombinedOutput(); err != nil {
		t.Skipf("file systems cannot be mounted: %v: %s", err, out)
	}
	readOnly := []string{" is on a read-only file system: ", " or in a systemd unit, add ReadWritePaths=/"}
	for name, test := range map[string]struct {
		options, before string // of the file system; and the commands before a token is created
		want            []string
	}{
		"a full disk": {"size=100k", "true",
			[]string{"/jobruns.db: the file system is full: free some space ("}},
		"a disk that fills up": {"size=3m", "jobrund token create --name a; head -c 4m /dev/zero > $1/fill",
			[]string{"/jobruns.db: the file system is full: free some space ("}},
		"no inodes": {"size=1m,nr_inodes=3", "true",
			[]string{"/jobruns.db: the file system has no inodes left: remove some files ("}},
		"a new store, read-only": {"size=3m", "mount -o remount,ro $1", readOnly},
		"a store, read-only":     {"size=3m", "jobrund token create --name a; mount -o remount,ro $1", readOnly},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			cmd := program(t, "jobrund")
			cmd.Env = append(cmd.Env, "PATH="+programs+":"+os.Getenv("PATH"),
				"JOBRUND_STORE=sqlite:"+folder+"/jobruns.db")
			cmd.Path, cmd.Err = exec.LookPath("unshare")
			cmd.Args = []string{"unshare", "-rm", "sh", "-c", "mount -t tmpfs -o $2 x $1; { " + test.before +
				"; } >/dev/null 2>&1; jobrund token create --name n", "sh", folder, test.options}
			got := ends(t, cmd)
			for _, want := range append(test.want, folder) {
				if got.status != 1 || !strings.Contains(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
					t.Errorf("%+v, without %q", got, want)
				}
			}
		})
	}
}

// TestTwoUsersShareAStore has root create a token, and the server's user, in turn.
func TestTwoUsersShareAStore(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root")
		}
		t.Skip("only root can be two users")
	}
	t.Parallel()
	const uid, group, otherUID = 65534, 65533, 65532
	user := func(uid uint32, store string) outcome {
		cmd := program(t, "jobrund", "token", "create", "--name", fmt.Sprint("u", uid), "--replace", "--store", store)
		cmd.Dir = "/"
		if uid != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
				Uid: uid, Gid: uid, Groups: []uint32{group},
			}}
		}
		return ends(t, cmd)
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
				if got := user(uid, store); got.status != 0 {
					t.Errorf("uid %d: %+v", uid, got)
				}
				if s == nil { // from now on the files of SQLite's own stay
					s = serve(t, store)
				}
			}
		})
	}
	t.Run("root first, in root's directory", func(t *testing.T) {
		directory := reachable(t)
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		store := "sqlite:" + filepath.Join(directory, "jobruns.db")
		if got := user(0, store); got.status != 0 {
			t.Errorf("%+v", got)
		}
		got := user(uid, store)
		for _, want := range []string{"permission denied", "belongs to uid 0, and this is uid 65534", "group"} {
			if got.status != 1 || !strings.Contains(got.stderr, want) {
				t.Errorf("%+v, without %q", got, want)
			}
		}
	})
	t.Run("in a directory that is hidden from the service", func(t *testing.T) {
		directory := reachable(t)
		home := filepath.Join(directory, "home")
		if err := os.MkdirAll(filepath.Join(home, "user", "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(directory, 0o755), os.Chmod(home, 0)); err != nil {
			t.Fatal(err)
		}
		got := user(uid, "sqlite:"+filepath.Join(home, "user", "folder", "jobruns.db"))
		for _, want := range []string{"permission denied: uid 65534 cannot enter " + home + ": ", "ProtectHome="} {
			if got.status != 1 || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, "belongs") {
				t.Errorf("%+v, without %q", got, want)
			}
		}
	})
}
