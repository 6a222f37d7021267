//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/gen/model"
)

// TestPgBouncer has all programs reach PostgreSQL through PgBouncer with its default configuration.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	pg := postgres.Start(t)
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			pooler := pg.StartBouncer(t, mode)
			through := func(url string) string { return strings.Replace(url, pg.Address(), pooler, 1) }
			testManyStartAtOnce(t, through(pg.NewDatabase(t))) // which imports a run and asks for it
			testPooledWait(t, through(pg.NewDatabase(t)), "7", 3, model.JobRunStatusFailed)
		})
	}
	t.Run("UnsupportedParameter", func(t *testing.T) {
		store := strings.Replace(pg.NewDatabase(t), pg.Address(), pg.StartBouncer(t, "session"),
			1) + "&search_path=mine"
		got := jobrund(t, "token", "list", "--store", store)
		if got.status != 1 || !strings.Contains(got.stderr, "this store cannot be used") ||
			!strings.Contains(got.stderr, "unsupported startup parameter: search_path") {
			t.Errorf("%+v", got)
		}
	})
}

// testPooledWait has somebody wait for a run whose command ends with a status.
func testPooledWait(t *testing.T, store, status string, want int, run model.JobRunStatus) {
	w := newWaiting(t, store)
	const told = "connection pooler"
	for end := time.Now().Add(time.Minute); !strings.Contains(w.server.log.String(), told); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log does not tell of the pooler while somebody waits")
		}
	}
	begin := time.Now()
	w.tell(t, status)
	w.want(t, want, run)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the waiter was told after %s", took)
	}
	w.server.stop(t, syscall.SIGTERM)
	if n := strings.Count(w.server.log.String(), told); n != 1 {
		t.Errorf("the log tells of the pooler %d times, want once", n)
	}
}
