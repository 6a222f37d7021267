//go:build e2e

package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	servers "github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/storetest"
)

func TestNothingHoldsAStoreUp(t *testing.T) {
	pg := servers.Start(t)
	var all sync.WaitGroup
	defer all.Wait()
	for name, test := range map[string]func(*testing.T, *servers.Server){
		"OpenEndsWhileATableIsLocked":         testOpenEndsWhileATableIsLocked,
		"OpenEndsWhileAnotherProcessMigrates": testOpenEndsWhileAnotherProcessMigrates,
		"OpenNeedsNoLockForACurrentSchema":    testOpenNeedsNoLockForACurrentSchema,
		"OpenEndsWhileTheDatabaseIsSilent":    testOpenEndsWhileTheDatabaseIsSilent,
		"CallsEndWhileTheDatabaseIsSilent":    testCallsEndWhileTheDatabaseIsSilent,
		"AConnectionThatIsLostIsReplacedSoon": testALostConnectionIsReplacedSoon,
		"OpenWithOneConnectionMakesTheSchema": testOpenWithOneConnectionMakesTheSchema,
	} {
		all.Go(func() { // all at once: they wait, and t.Parallel lets few wait at once
			t.Run(name, func(t *testing.T) { test(t, pg) })
		})
	}
}

// within calls the function, and fails the test if it takes longer.
func within(t *testing.T, limit time.Duration, what string, call func()) {
	t.Helper()
	begin := time.Now()
	call()
	if took := time.Since(begin); took > limit {
		t.Errorf("%s took %s, want up to %s", what, took, limit)
	}
}

// hold executes statements in a transaction that goes on until the test ends.
func hold(t *testing.T, url, statement string) {
	t.Helper()
	db, _, err := postgres.Engine.Connect(t.Context(), url+"&search_path=jobruns", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// wantTimeout opens the store, and wants ErrTimeout.
func wantTimeout(t *testing.T, url, says string, limit time.Duration) {
	t.Helper()
	within(t, limit, "Open", func() {
		s, err := store.Open(t.Context(), url, postgres.Engine)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, jobrun.ErrTimeout) || errors.Is(err, store.ErrUnusable) ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%v, want ErrTimeout, and %q", err, says)
		}
	})
}

// migrationLock is the key of the lock that all versions of this program take to migrate.
const migrationLock = "1785684594"

func testOpenEndsWhileATableIsLocked(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	hold(t, url, "LOCK TABLE goose_db_version IN ACCESS EXCLUSIVE MODE")
	wantTimeout(t, url, "did not answer in time", 9*time.Second)
}

func testOpenEndsWhileAnotherProcessMigrates(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	other := storetest.Open(t, postgres.Engine, url)
	storetest.Exec(t, other, "DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
	held, err := other.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback() }()
	if _, err := held.Exec("SELECT pg_advisory_xact_lock(" + migrationLock + ")"); err != nil {
		t.Fatal(err)
	}
	wantTimeout(t, url, "migration lock", 20*time.Second)
	left, leave := context.WithTimeout(t.Context(), time.Second)
	defer leave()
	within(t, 5*time.Second, "Open with a context that ends", func() {
		if _, err := store.Open(left, url, postgres.Engine); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
	})
}

func testOpenNeedsNoLockForACurrentSchema(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	hold(t, url, "SELECT pg_advisory_lock("+migrationLock+")")
	within(t, 5*time.Second, "Open", func() { storetest.Open(t, postgres.Engine, url) })
}

func testOpenEndsWhileTheDatabaseIsSilent(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	proxy := pg.NewProxy(t)
	proxy.Lock()
	defer proxy.Unlock()
	url = strings.Replace(url, pg.Address(), proxy.Address, 1)
	within(t, 15*time.Second, "Open", func() {
		s, err := store.Open(t.Context(), url, postgres.Engine)
		if err == nil {
			s.Close()
			t.Error("a silent database was opened")
		}
	})
}

// testCallsEndWhileTheDatabaseIsSilent cuts the network after a store has been opened.
func testCallsEndWhileTheDatabaseIsSilent(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	proxy := pg.NewProxy(t)
	s := storetest.Open(t, postgres.Engine, strings.Replace(url, pg.Address(), proxy.Address, 1))
	storetest.Put(t, s, storetest.Running())
	reported := storetest.Record(func(r *jobrun.Record) { r.Run.ID = "reported" }).Key()
	storetest.Report(t, s, reported, model.JobRunReport{})
	begun := storetest.Await(t.Context(), t, s, storetest.Running(), nil) // which takes a connection to listen
	proxy.Lock()
	defer proxy.Unlock()
	var all sync.WaitGroup
	for name, call := range map[string]func(context.Context) error{
		"RecordRun": func(ctx context.Context) error {
			_, err := s.RecordRun(ctx, reported, model.JobRunReport{}, storetest.Admit)
			return err
		},
		"PutRun":      func(ctx context.Context) error { return s.PutRun(ctx, storetest.Record()) },
		"Run":         func(ctx context.Context) error { _, err := s.Run(ctx, storetest.Record().Key()); return err },
		"Revision":    func(ctx context.Context) error { _, err := s.Revision(ctx); return err },
		"Unconcluded": func(ctx context.Context) error { _, err := s.Unconcluded(ctx, "x"); return err },
		"Tokens":      func(ctx context.Context) error { _, err := s.Tokens(ctx); return err },
		"RevokeToken": func(ctx context.Context) error { return s.RevokeToken(ctx, "x") },
		"Prune":       func(ctx context.Context) error { _, err := s.Prune(ctx, store.Pruning{Before: time.Now()}); return err },
		"Await":       func(ctx context.Context) error { _, err := s.Await(ctx, storetest.Record().Key(), nil); return err },
		"Ready":       s.Ready,
	} {
		all.Go(func() {
			within(t, 15*time.Second, name, func() {
				if err := call(t.Context()); !errors.Is(err, jobrun.ErrUnavailable) {
					t.Errorf("%s: %v, want ErrUnavailable", name, err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			within(t, 2*time.Second, name+" with a context that ends", func() {
				if err := call(ctx); err == nil {
					t.Errorf("%s: no error", name)
				}
			})
		})
	}
	all.Wait()
	within(t, 2*time.Second, "Close", func() { s.Close() })
	if got := <-begun; got.Err == nil {
		t.Errorf("waited for %+v", got.Run)
	}
}

// testALostConnectionIsReplacedSoon has a firewall forget a connection that nobody has used for a
// while.
func testALostConnectionIsReplacedSoon(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	proxy := pg.NewProxy(t)
	s := storetest.Open(t, postgres.Engine, strings.Replace(url, pg.Address(), proxy.Address, 1))
	storetest.Put(t, s, storetest.Running())
	time.Sleep(1500 * time.Millisecond) // a connection that was used just now is not checked
	proxy.Forget()
	within(t, 8*time.Second, "PutRun", func() { storetest.Put(t, s, storetest.Record()) })
}

func testOpenWithOneConnectionMakesTheSchema(t *testing.T, pg *servers.Server) {
	s := storetest.Open(t, postgres.Engine, pg.NewDatabase(t)+"&pool_max_conns=1")
	storetest.Put(t, s, storetest.Record())
}
