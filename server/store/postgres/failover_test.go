//go:build e2e

package postgres_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	servers "github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// eventuallyStores stores the run again and again until that succeeds, and returns how often it has
// failed.
func eventuallyStores(t *testing.T, s *storetest.Store, r jobrun.Record) (failures int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; failures++ {
		err := s.PutRun(t.Context(), r)
		if err == nil {
			return failures
		}
		if time.Now().After(end) {
			t.Fatalf("the store cannot be written: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestFailover has a standby take the place of the primary.
func TestFailover(t *testing.T) {
	primary := servers.Start(t)
	one := primary.NewDatabase(t)
	storetest.Put(t, storetest.Open(t, postgres.Engine, one), storetest.Running())
	standby := primary.StartStandby(t)
	// Both hosts are in the URL, as a client of a cluster has them.
	several := strings.Replace(one, primary.Address(), standby.Address()+","+primary.Address(), 1) +
		"&target_session_attrs=read-write"
	s := storetest.Open(t, postgres.Engine, several)
	storetest.Put(t, s, storetest.Running())
	done := storetest.Await(t.Context(), t, s, storetest.Running(), nil)
	primary.Stop(t)
	standby.Promote(t)
	if got := <-done; got.Err == nil {
		t.Fatalf("the waiter was told %+v", got.Run)
	}
	eventuallyStores(t, s, storetest.Record())
	storetest.WantRun(t, s, storetest.Record())
}

// TestReadOnlySessionsAreDropped has one address lead to a standby at first, and then to the
// primary, while the connections that were opened before last.
func TestReadOnlySessionsAreDropped(t *testing.T) {
	primary := servers.Start(t)
	url := primary.NewDatabase(t)
	storetest.Put(t, storetest.Open(t, postgres.Engine, url), storetest.Running())
	standby := primary.StartStandby(t)
	proxy := standby.NewProxy(t)
	s := storetest.Open(t, postgres.Engine, strings.Replace(url, primary.Address(), proxy.Address, 1))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := s.Run(t.Context(), storetest.Running().Key()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	proxy.Lead(primary)
	if failures := eventuallyStores(t, s, storetest.Record()); failures > 1 {
		t.Errorf("the store was written after %d failures, want the first to drop all sessions", failures)
	}
}

// TestPasswordFileIsReadAgain replaces a password under an open store.
func TestPasswordFileIsReadAgain(t *testing.T) {
	pg := servers.Start(t)
	owner := pg.NewDatabase(t)
	file := filepath.Join(t.TempDir(), "passwords")
	setPassword := func(password string) {
		pg.Exec(t, owner, fmt.Sprintf("ALTER ROLE rotated PASSWORD '%s'", password))
		if err := os.WriteFile(file, []byte("*:*:*:rotated:"+password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pg.Exec(t, owner, "CREATE ROLE rotated LOGIN; CREATE SCHEMA jobruns AUTHORIZATION rotated")
	setPassword("old")
	parsed, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.User("rotated")
	s := storetest.Open(t, postgres.Engine, parsed.String()+"&passfile="+url.QueryEscape(file))
	storetest.Put(t, s, storetest.Running())
	setPassword("new")
	pg.Exec(t, owner, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'")
	eventuallyStores(t, s, storetest.Record())
}
