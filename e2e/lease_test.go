//go:build e2e

package e2e

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

// longer is more than a lease lasts that no lock proves.
var longer = sqlite.Engine.Lease.Time + 5*time.Second

// started starts a recorder, and returns what ends its command, and the id of the run, when the API
// tells that it is running.
func (a *api) started(t testing.TB, cmd *exec.Cmd) (end io.WriteCloser, id string) {
	t.Helper()
	stdin, _, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // or it has ended
		_ = cmd.Wait()
	})
	id = runID(t, readLine(t, stderr))
	go func() { _, _ = io.Copy(io.Discard, stderr) }() // it may say that it cannot write
	a.eventually(t, id, func(r *model.JobRun) bool { return r.Status == model.JobRunStatusRunning })
	return stdin, id
}

// runsFor asks for the run again and again, which must be running all the time.
func (a *api) runsFor(t testing.TB, id string, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if run := a.run(t, id); run.Status != model.JobRunStatusRunning {
			t.Fatalf("%+v", *run)
		}
	}
}

// succeeds ends the command of a recorder that lives.
func (a *api) succeeds(t testing.TB, cmd *exec.Cmd, end io.Closer, id string) {
	t.Helper()
	end.Close()
	if got := exitStatus(t, cmd.Wait()); got != 0 {
		t.Errorf("exit status %d", got)
	}
	if run := a.run(t, id); run.Status != model.JobRunStatusSuccess {
		t.Errorf("%+v", *run)
	}
}

func TestRecorderThatCannotWriteKeepsItsLease(t *testing.T) {
	for name, hinder := range map[string]func(t *testing.T, store string, recorder *os.Process) (release func()){
		"stopped": func(t *testing.T, _ string, recorder *os.Process) func() {
			if err := recorder.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			return func() { _ = recorder.Signal(syscall.SIGCONT) }
		},
		"another has the lock to write": func(t *testing.T, store string, _ *os.Process) func() {
			db := openDatabase(t, strings.TrimPrefix(store, "sqlite:"))
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			return func() {
				conn.Close()
				db.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits
			a := newAPI(t, newStore(t))
			cmd := recorded(t, a.store, "cat")
			end, id := a.started(t, cmd)
			// A caller who waits must not be told before the end either.
			waited := make(chan *model.JobRun, 1)
			go func() {
				run, _, _ := a.WaitForJobRun(t.Context(), client.RunRef{Project: "p", Job: "j", Run: id})
				waited <- run
			}()
			release := hinder(t, a.store, cmd.Process)
			a.runsFor(t, id, longer)
			release()
			a.succeeds(t, cmd, end, id)
			if run := <-waited; run == nil || run.Status != model.JobRunStatusSuccess {
				t.Errorf("who waited was told %+v", run)
			}
		})
	}
}

// TestLeasesHoldBetweenContainers has a recorder and a server whose processes, clocks and /proc differ.
func TestLeasesHoldBetweenContainers(t *testing.T) {
	inside := func(cmd *exec.Cmd, prepare string, flags ...string) *exec.Cmd {
		args := append(flags, "sh", "-c", prepare+` && exec "$@"`, "sh")
		contained := exec.Command("unshare", append(args, cmd.Args...)...)
		contained.Dir, contained.Env = cmd.Dir, cmd.Env
		return contained
	}
	container := []string{
		"--mount", "--pid", "--fork", "--kill-child", "--time", "--monotonic", "1000000", "--boottime", "1000000",
	}
	if out, err := inside(exec.Command("true"), "mount -t tmpfs none /proc/sys",
		container...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("only root can make namespaces: %v: %s", err, out)
	}
	store := newStore(t)
	token := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	reader := func(cmd *exec.Cmd) *api {
		s := startServer(t, cmd)
		c := newClient(t, s, token)
		return &api{c, store, s}
	}
	serving := func() *exec.Cmd {
		return program(t, "jobrund", "serve", "--addr", "127.0.0.1:0", "--store", store, "--rate-limit", "0")
	}
	servers := []*api{
		reader(serving()), reader(inside(serving(), "mount -t proc -o subset=pid proc /proc", "--mount")),
	}
	host := servers[0]
	for name, recorder := range map[string]func() *exec.Cmd{
		"a recorder in a container": func() *exec.Cmd {
			return inside(recorded(t, store, "cat"), "mount -t tmpfs none /proc/sys", container...)
		},
		"a recorder on the host": func() *exec.Cmd { return recorded(t, store, "cat") },
	} {
		cmd := recorder()
		end, id := host.started(t, cmd)
		for _, a := range servers {
			a.runsFor(t, id, time.Second)
		}
		host.succeeds(t, cmd, end, id)

		cmd = recorder()
		_, id = host.started(t, cmd)
		killed := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, a := range servers {
			a.eventually(t, id, func(r *model.JobRun) bool { return r.Status == model.JobRunStatusFailed })
		}
		if took := time.Since(killed); took > sqlite.Engine.Lease.Time*3/4 {
			t.Errorf("%s: its death was noticed after %s", name, took)
		}
	}
}

// TestRecorderSaysThatItsLeaseHadRunOut has a recorder that was taken for dead.
func TestRecorderSaysThatItsLeaseHadRunOut(t *testing.T) {
	t.Parallel() // it waits
	a := newAPI(t, newStore(t))
	cmd := recorded(t, a.store, "cat")
	stdin, _, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := runID(t, readLine(t, stderr))
	a.eventually(t, id, func(r *model.JobRun) bool { return r.Status == model.JobRunStatusRunning })
	db := openDatabase(t, strings.TrimPrefix(a.store, "sqlite:"))
	defer db.Close()
	if _, err := db.Exec("UPDATE runs SET lease_lock = NULL, lease_renewed = lease_renewed - $1",
		longer.Milliseconds()); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, id, func(r *model.JobRun) bool { return r.Status == model.JobRunStatusFailed })
	if line := readLine(t, stderr); !strings.HasPrefix(line, "jobrun: ") ||
		!strings.Contains(line, "may have been told") ||
		!strings.Contains(line, id) {
		t.Errorf("the recorder says %q", line)
	}
	a.runsFor(t, id, time.Second)
	a.succeeds(t, cmd, stdin, id)
}
