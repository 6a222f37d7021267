package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// listenFor makes the count of listening time grow, which a server notices at its next tick.
func listenFor(t testing.TB, store string, d time.Duration) {
	t.Helper()
	change(t, store, "UPDATE listening SET ms = ms + $1", d.Milliseconds())
}

// counts waits until the server has counted that it listens, and so has looked for lost runs.
func (a *api) counts(t testing.TB) {
	t.Helper()
	db := openDatabase(t, a.store)
	listened := func() (ms int64) {
		if err := db.QueryRow("SELECT ms FROM listening").Scan(&ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	before := listened()
	soon(t, func() error {
		if listened() == before {
			return errors.New("the server does not count")
		}
		return nil
	})
}

// lost waits until a run is lost.
func (a *api) lost(t testing.TB, id string) {
	t.Helper()
	soon(t, func() error {
		outcome, _, err := a.GetJobRunOutcome(t.Context(), refTo(id))
		if err == nil && (outcome.Reason == nil || *outcome.Reason != "RecorderLost") {
			err = fmt.Errorf("run %s has not lost its recorder: %+v", id, *outcome)
		}
		return err
	})
}

// report records a state of a run, with a heartbeat timeout in seconds.
func (a *api) report(t testing.TB, id string, timeout int, conclusion *client.JobRunConclusion) {
	t.Helper()
	_, _, err := recordingClient(t, a.server, a.recorder).RecordJobRun(t.Context(), refTo(id),
		client.JobRunReport{HeartbeatTimeout: &timeout, Conclusion: conclusion})
	if err != nil {
		t.Error(err)
	}
}

// TestRunIsLostOnlyWhileAServerListens kills the server. According to the clock, it is away for an
// hour. TestPostgresStops waits for real.
func TestRunIsLostOnlyWhileAServerListens(t *testing.T) {
	t.Parallel() // it mostly waits
	a := newAPI(t, newStore(t))
	testLostWhileListening(t, a, func() {
		a.server.stop(t, syscall.SIGKILL)
		change(t, a.store, "UPDATE runs SET reported_at = reported_at - 3600")
		a.server = serve(t, a.store, "--addr", strings.TrimPrefix(a.server.url, "http://"))
	}, func() { listenFor(t, a.store, 20*time.Second) })
}

// testLostWhileListening has the server or the database be away for longer than heartbeat timeouts,
// under two runs and a caller who waits for one of them. Its recorder comes back, the other one
// does not while the server listens.
func testLostWhileListening(t *testing.T, a *api, away, listen func()) {
	token := output(t, "jobrund", "token", "create", "--name", "caller", "--store", a.store)
	for _, id := range []string{"live", "dead"} {
		a.report(t, id, 10, nil)
	}
	waiter := waitFor(t, a.server.url, token, "live")
	_, _, stderr := pipes(t, waiter)
	start(t, waiter)
	readLine(t, stderr) // it is waiting
	away()
	restarted := time.Now()
	a.counts(t) // a recorder takes a moment to come back
	for _, id := range []string{"live", "dead"} {
		if run := a.run(t, id); run.Concluded {
			t.Errorf("%+v", *run)
		}
	}
	a.report(t, "live", 60, nil)
	listen()
	a.lost(t, "dead")
	// The heartbeat timeout and 10 s, and up to 5 s that the killed server had not counted yet.
	if took := time.Since(restarted); took > 26*time.Second {
		t.Errorf("the run is lost after %s", took)
	}
	a.report(t, "live", 60, &client.JobRunConclusion{Succeeded: true})
	if got := exitStatus(t, waiter.Wait()); got != 0 {
		t.Errorf("the waiter's exit status is %d", got)
	}
	// The recorder of the lost run was only slow.
	a.report(t, "dead", 10, nil)
	soon(t, func() error {
		if run := a.run(t, "dead"); run.Status != model.JobRunStatusRunning {
			return fmt.Errorf("%+v", *run)
		}
		return nil
	})
}

// spooled returns the files in the spool of a jobrun.
func spooled(cmd *exec.Cmd) []string {
	files, _ := filepath.Glob(filepath.Join(cmd.Dir, "spool", "*"))
	return files
}

// TestSpoolIsDelivered stops the server under two recorders. "jobrun --flush" delivers one record,
// the next jobrun the other.
func TestSpoolIsDelivered(t *testing.T) {
	t.Parallel() // it mostly waits
	a := newAPI(t, newStore(t))
	var recorders [2]*exec.Cmd
	var ends [2]io.Closer
	for i := range recorders {
		cmd := recorded(t, a, "echo printed; read line; exit 7", "--run", fmt.Sprint("r", i), "--keep-output", "1KiB")
		stdin, _, stderr := pipes(t, cmd)
		start(t, cmd)
		readLine(t, stderr) // the run is recorded
		recorders[i], ends[i] = cmd, stdin
	}
	a.server.stop(t, syscall.SIGTERM)
	for _, end := range ends {
		end.Close()
	}
	for i, cmd := range recorders {
		if got := exitStatus(t, cmd.Wait()); got != 7 || len(spooled(cmd)) != 1 {
			t.Fatalf("exit status %d, the spool has %v", got, spooled(cmd))
		}
		if i == 0 {
			a.server = serve(t, a.store, "--addr", strings.TrimPrefix(a.server.url, "http://"))
		}
	}
	for i, args := range [][]string{{"--flush"}, {"--project", "p", "--job", "j", "--run", "next", "--quiet", "true"}} {
		next := a.jobrun(t, append([]string{"--spool", filepath.Join(recorders[i].Dir, "spool")}, args...)...)
		if got := outcomeOf(t, next); got.status != 0 || len(spooled(recorders[i])) != 0 {
			t.Errorf("%v: %+v, the spool has %v", args, got, spooled(recorders[i]))
		}
		id := fmt.Sprint("r", i)
		wantPrinted(t, newClient(t, a.server, a.logsToken(t)), id, "printed")
		if why := whyOf(t, a.outcome(t, id)); why.exitStatus != 7 {
			t.Errorf("%s: %+v", id, why)
		}
	}
}

// TestOutdatedServerRefuses has a newer version upgrade the store under a server.
func TestOutdatedServerRefuses(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	admin := freeAddress(t)
	s := serve(t, store, "--admin-addr", admin, "--cache-size", "0")
	ask(t, s, token, runPath, http.StatusOK)
	change(t, store, "UPDATE schema_support SET oldest_writer = 99999999999999")
	const reason = "a newer server has upgraded the store"
	soon(t, func() error {
		status, text := read(t, "http://"+admin+"/readyz")
		if status != http.StatusServiceUnavailable || !strings.Contains(text, reason) {
			return fmt.Errorf("/readyz: %d %s", status, text)
		}
		return nil
	})
	if got := ask(t, s, token, runPath, http.StatusServiceUnavailable); !strings.Contains(got, reason) {
		t.Errorf("the message is %q", got)
	}
}

// TestOpenRunOfVersion07IsLost serves a store of version 0.7, whose recorders wrote to it
// themselves.
func TestOpenRunOfVersion07IsLost(t *testing.T) {
	t.Parallel()
	const lastMigration = 10
	store := newStore(t)
	db := openDatabase(t, store)
	migrations, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("../server/store/sqlite/migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.UpTo(t.Context(), lastMigration); err != nil {
		t.Fatal(err)
	}
	change(t, store, `PRAGMA application_id = 1785684594`)
	change(t, store, `INSERT INTO runs (team, project, job, id, active, backoff_limit, completions, concluded, failed,
		run_name, status, succeeded, started_at, lease_boot, lease_renewed, lease_renewed_at) VALUES ('default', 'p', 'j',
		'r', 1, 0, 0, 0, 0, 'j-1', 'RUNNING', 0, 1607428028, 'a boot', 1, 1607428100)`)
	a := newAPI(t, store)
	if run := a.run(t, "r"); run.Status != model.JobRunStatusRunning {
		t.Errorf("%+v", *run)
	}
	listenFor(t, store, 120*time.Second)
	a.lost(t, "r")
	if run := a.run(t, "r"); run.ConcludedAt == nil || run.ConcludedAt.Unix() != 1607428100 {
		t.Errorf("%+v", *run)
	}
}

func TestBurst(t *testing.T) { testBurst(t, newStore(t)) }

// testBurst starts 300 jobrun, and 700 recorders in this process. The server does not respond while
// the first jobrun start: their commands do not wait for it.
func testBurst(t *testing.T, store string) {
	const programs, clients, waiting = 300, 700, 30
	a := newAPI(t, store)
	a.report(t, "first", 60, &client.JobRunConclusion{Succeeded: true})
	before := residentBytes(t, a.server.process.Process.Pid)
	folder := t.TempDir()
	signal := func(sig syscall.Signal) {
		if err := a.server.process.Process.Signal(sig); err != nil {
			t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	var all sync.WaitGroup
	for i := range programs {
		script := fmt.Sprintf("> %s/%d; sleep 3; exit %d", folder, i, i%2)
		cmd := recorded(t, a, script, "--quiet", "--run", fmt.Sprint("program-", i))
		all.Go(func() {
			if got := outcomeOf(t, cmd); got != (outcome{status: i % 2}) {
				t.Errorf("%+v", got)
			}
		})
		if i != waiting {
			continue
		}
		soon(t, func() error {
			if started, _ := os.ReadDir(folder); len(started) < waiting {
				return fmt.Errorf("%d commands have started", len(started))
			}
			return nil
		})
		signal(syscall.SIGCONT)
		for i := range clients {
			all.Go(func() {
				id := fmt.Sprintf("client-%d", i)
				a.report(t, id, 60, nil)
				a.report(t, id, 60, &client.JobRunConclusion{Succeeded: i%2 == 0})
			})
		}
	}
	all.Wait()
	if grown := memoryOf(t, a.server.process.Process.Pid, "VmHWM:") - before; grown > 64<<20 {
		t.Errorf("the server grew by %d MiB", grown>>20)
	} else {
		t.Logf("the server grew by %d MiB", grown>>20)
	}
	ended := map[model.JobRunStatus]int{}
	for run, err := range a.JobRuns(t.Context(), client.JobRef{Project: "p", Job: "j"}, client.ListJobRunsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		ended[run.Status]++
		if odd := strings.ContainsAny(run.ID[len(run.ID)-1:], "13579"); odd != (run.Status == model.JobRunStatusFailed) {
			t.Errorf("%+v", run)
		}
	}
	if ended[model.JobRunStatusSuccess] != 501 || ended[model.JobRunStatusFailed] != 500 {
		t.Errorf("the runs are %v", ended)
	}
}
