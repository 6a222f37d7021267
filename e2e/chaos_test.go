//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/gen/model"
)

// chaosVariable and seedVariable are environment variables: the number of rounds, and the seed that
// repeats the choices of an earlier test.
const (
	chaosVariable = "JOBRUNS_CHAOS_ROUNDS"
	seedVariable  = "JOBRUNS_CHAOS_SEED"
)

// number returns the value of an environment variable, or another number if it is not set.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestChaos kills a recorder, the server or the database again and again. Each run whose command has
// ended while its jobrun lived is in the store or in the spool, with its true end.
func TestChaos(t *testing.T) {
	t.Parallel() // it mostly waits
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		testChaos(t, newStore(t), nil, "127.0.0.3")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		database := postgres.Start(t)
		testChaos(t, database.NewDatabase(t), database, "127.0.0.4")
	})
}

// testChaos kills no database if database is nil. No other test has servers at the host, which
// could take the port of a server that is down.
func testChaos(t *testing.T, store string, database *postgres.Server, host string) {
	seed := number(t, seedVariable, uint64(time.Now().UnixNano()))
	t.Logf("%s=%d repeats the choices", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	address := strings.Replace(freeAddress(t), "127.0.0.1", host, 1)
	a := newAPI(t, store, "--addr", address)
	spool := filepath.Join(t.TempDir(), "spool")
	type recorder struct {
		*exec.Cmd
		id     string
		status int
		killed bool
	}
	var all []*recorder
	for round := range number(t, chaosVariable, 15) {
		var started []*recorder
		for i := range 3 {
			r := &recorder{id: fmt.Sprintf("run-%d-%d", round, i), status: random.IntN(2)}
			script := fmt.Sprintf("sleep 0.%02d; exit %d", random.IntN(20), r.status)
			r.Cmd = recorded(t, a, script, "--run", r.id, "--spool", spool)
			r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			start(t, r.Cmd)
			started = append(started, r)
		}
		victim, down := random.IntN(6), round%5 == 4 // for longer than recorders try to report
		if down {
			a.server.stop(t, syscall.SIGKILL)
		}
		time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
		switch {
		case down:
		case victim < 3:
			_ = syscall.Kill(-started[victim].Process.Pid, syscall.SIGKILL) // or it has ended
		case victim == 3 && database != nil:
			database.Kill(t)
			database.Restart(t)
		default:
			a.server.stop(t, syscall.SIGKILL)
			a.server = serve(t, store, "--addr", address)
		}
		for _, r := range started {
			err := r.Wait()
			r.killed = r.ProcessState.Sys().(syscall.WaitStatus).Signaled()
			if got := exitStatus(t, err); !r.killed && got != r.status {
				t.Errorf("%s: exit status %d, want %d", r.id, got, r.status)
			}
		}
		if down {
			a.server = serve(t, store, "--addr", address)
		}
		all = append(all, started...)
	}
	files, _ := filepath.Glob(spool + "/*")
	got := outcomeOf(t, a.jobrun(t, "--flush", "--spool", spool))
	if got.status != 0 || strings.Count(got.stderr, "is recorded") != len(files) {
		t.Errorf("%v: %+v", files, got)
	}
	listenFor(t, store, 130*time.Second)
	killed := 0
	for _, r := range all {
		want := why{"Completed", "exit status 0", 0, ""}
		if r.status != 0 {
			want = why{"ExitStatus", "exit status 1", 1, ""}
		}
		soon(t, func() error {
			run, _, err := a.GetJobRun(t.Context(), refTo(r.id))
			if r.killed && errors.Is(err, client.ErrNotFound) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", r.id, err)
			}
			got := whyOf(t, a.outcome(t, r.id))
			if lost := r.killed && got.reason == "RecorderLost"; !run.Concluded || !lost && got != want ||
				(run.Status == model.JobRunStatusSuccess) != (got.exitStatus == 0) {
				return fmt.Errorf("%+v, %+v, want %+v", *run, got, want)
			}
			return nil
		})
		if r.killed {
			killed++
		}
	}
	if database == nil {
		intact(t, store)
	}
	t.Logf("%d runs, %d recorders killed, %d runs delivered from the spool", len(all), killed, len(files))
}
