//go:build e2e

package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	servers "github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/storetest"
)

func TestStore(t *testing.T) {
	pg := servers.Start(t)
	// The strictest default that a database may have. Behind PgBouncer, the tests use PostgreSQL's
	// own.
	const isolation = "&default_transaction_isolation=serializable"
	storetest.Exercise(t, postgres.Engine, func(t *testing.T) string { return pg.NewDatabase(t) + isolation })
	t.Run("OpenUpgradesEveryEarlierSchema", func(t *testing.T) { testOpenUpgradesEveryEarlierSchema(t, pg) })
	t.Run("OpenUpgradesVersion07", func(t *testing.T) {
		const schemaOf07 = 6
		url := earlier(t, pg, schemaOf07)
		pg.Exec(t, url, "SET search_path = jobruns; "+storetest.StoreRunsOf07+
			"; UPDATE runs SET lease_renewed = 1607428100000 WHERE id = 'running'"+
			storetest.StoreTokenOf07(`sha256('')`))
		storetest.ExerciseUpgradeOf07(t, postgres.Engine, url)
	})
	t.Run("OpenSaysWhatIsWrong", func(t *testing.T) { testOpenPostgresSaysWhatIsWrong(t, pg) })
	t.Run("Privileges", func(t *testing.T) { testPrivileges(t, pg) })
	t.Run("Connections", func(t *testing.T) { testConnections(t, pg) })
	t.Run("LockedTableTimesOut", func(t *testing.T) { testLockedTableTimesOut(t, pg) })
	t.Run("TheServerIsStartedAgain", func(t *testing.T) { testServerIsStartedAgain(t, pg) })
}

// migrations returns how many migrations there are.
func migrations(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	return len(files)
}

func testOpenUpgradesEveryEarlierSchema(t *testing.T, pg *servers.Server) {
	storetest.ExerciseUpgrades(t, postgres.Engine, migrations(t), func(t *testing.T, version int) string {
		return earlier(t, pg, version)
	})
}

// earlier makes a database that has the migrations up to that version and a run, and returns its
// URL.
func earlier(t *testing.T, pg *servers.Server, version int) string {
	t.Helper()
	url := pg.NewDatabase(t)
	pg.Exec(t, url, "CREATE SCHEMA jobruns")
	db, err := sql.Open("pgx", url+"&search_path=jobruns")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), int64(version)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(storetest.StoreRun); err != nil {
		t.Fatal(err)
	}
	return url
}

// as returns the URL with another user and password.
func as(t *testing.T, text, name, password string) string {
	t.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.UserPassword(name, password)
	return parsed.String()
}

func testOpenPostgresSaysWhatIsWrong(t *testing.T, pg *servers.Server) {
	here := pg.NewDatabase(t)
	elsewhere := strings.Replace(here, pg.Address(), "127.0.0.1:1", 1)
	newer := pg.NewDatabase(t)
	if err := storetest.Open(t, postgres.Engine, newer).Close(); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, newer, "SET search_path = jobruns; "+storetest.RaiseOldestWriter+
		"; INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, true)")
	pg.Exec(t, here, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
	pg.Exec(t, here, "CREATE DATABASE foreign_tables")
	foreign := strings.Replace(here, "/jobruns_", "/foreign_tables?x=", 1)
	foreign, _, _ = strings.Cut(foreign, "?")
	pg.Exec(t, foreign, "CREATE SCHEMA jobruns CREATE TABLE runs (theirs int)")
	pg.Exec(t, here, "CREATE ROLE nobody_much LOGIN PASSWORD 'secret'")
	for url, test := range map[string]struct {
		says     string
		unusable bool // whether opening it again can never help
	}{
		elsewhere:                       {"connection refused", false},
		as(t, here, "postgres", "hush"): {"password authentication failed", false},
		here + "x":                      {"sslmode is invalid", true},
		here + "&password=hush":         {"password authentication failed", false},
		here + "&pool_max_conns=many":   {"pool_max_conns", true},
		here + "&nonsense=1":            {`unrecognized configuration parameter "nonsense"`, true},
		here + "&lock_timeout=soon":     {`invalid value for parameter "lock_timeout"`, true},
		strings.Replace(here, "/jobruns_", "/nowhere_", 1):     {"does not exist", false},
		strings.Replace(foreign, "foreign_tables", "latin", 1): {"encoding LATIN1: create one with UTF8", true},
		foreign:                              {"already exists", true},
		newer:                                {fmt.Sprintf("needs schema 1000, this program knows %d: use a newer version", migrations(t)), true},
		"postgres://u:hush@host:port/d":      {"invalid port", true},
		"postgres://u:hush/d":                {"invalid port", true},
		"postgres://u:pass@hush@h/d":         {`write "@", "/" and "?"`, true},
		"postgres://u:pass@hush/a@h/d":       {"as %40, %2F and %3F", true},
		"postgres://u:pass/hush@h/d":         {"as %40, %2F and %3F", true},
		"postgres://u:pass?hush@h/d":         {"as %40, %2F and %3F", true},
		"postgres://h?password=pass@hush":    {"as %40, %2F and %3F", true},
		"postgres://h/d?password=pass@hush":  {"as %40, %2F and %3F", true},
		"postgres://u:%hush@h/d":             {"the URL cannot be parsed", true},
		"postgres://h/d?password=pass&hush":  {"the URL cannot be parsed", true},
		elsewhere + "&sslpassword=hush":      {"connection refused", false},
		as(t, here, "nobody_much", "secret"): {"permission denied for database", false},
	} {
		s, err := store.Open(t.Context(), url, postgres.Engine)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.ContainsAny(err.Error(), "\n\t") {
			t.Errorf("%s: got %v, want %q, in one line", url, err, test.says)
		}
		if errors.Is(err, store.ErrUnusable) != test.unusable {
			t.Errorf("%s: %v, want ErrUnusable: %t", url, err, test.unusable)
		}
		for _, secret := range []string{"hush", "secret", "p%40ss", "p@ss"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v tells a password", url, err)
			}
		}
	}
}

// testPrivileges has an administrator create the schema for a user who may not, and a user who may
// only read the tables.
func testPrivileges(t *testing.T, pg *servers.Server) {
	owner := pg.NewDatabase(t)
	pg.Exec(t, owner, "CREATE ROLE recorder LOGIN PASSWORD 'x'; CREATE ROLE reader LOGIN PASSWORD 'x'; "+
		"CREATE SCHEMA jobruns AUTHORIZATION recorder")
	recorder := storetest.Open(t, postgres.Engine, as(t, owner, "recorder", "x"))
	storetest.Put(t, recorder, storetest.Running())
	pg.Exec(t, owner, "GRANT USAGE ON SCHEMA jobruns TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA jobruns TO reader")
	reader := storetest.Open(t, postgres.Engine, as(t, owner, "reader", "x"))
	storetest.WantRun(t, reader, storetest.Running())
	if _, err := reader.Token(t.Context(), jobrun.TokenHash{}); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if err := reader.PutRun(t.Context(), storetest.Record()); err == nil ||
		!strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a reader writes: %v", err)
	}
	done := storetest.Await(t.Context(), t, reader, storetest.Running(), nil)
	storetest.Put(t, recorder, storetest.Record())
	storetest.WantAwaited(t, done, storetest.Record())
}

// testConnections counts the connections of a process that has more to do than it has connections.
func testConnections(t *testing.T, pg *servers.Server) {
	for limit, query := range map[int]string{10: "", 3: "&pool_max_conns=3"} {
		url := pg.NewDatabase(t) + query
		s := storetest.Open(t, postgres.Engine, url)
		other := storetest.Open(t, postgres.Engine, url+"&application_name=other")
		storetest.Put(t, s, storetest.Running())
		var all sync.WaitGroup
		for range 10 * limit {
			all.Go(func() {
				if _, err := s.Await(t.Context(), storetest.Running().Key(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		for s.Waiting() < 10*limit {
			time.Sleep(time.Millisecond)
		}
		var connections int
		if err := other.DB().QueryRow(
			"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'jobruns'",
		).Scan(&connections); err != nil {
			t.Fatal(err)
		}
		if connections == 0 || connections > limit {
			t.Errorf("%d connections, want up to %d", connections, limit)
		}
		storetest.Put(t, other, storetest.Record())
		all.Wait()
	}
}

// testLockedTableTimesOut has the server cancel a statement that waits too long for a lock.
func testLockedTableTimesOut(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	other := storetest.Open(t, postgres.Engine, url)
	s := storetest.Open(t, postgres.Engine, url+"&lock_timeout=10")
	tx, err := other.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE runs"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRun(t.Context(), storetest.Record()); !errors.Is(err, jobrun.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, storetest.Record())
}

// testServerIsStartedAgain stops the server while callers read and wait.
func testServerIsStartedAgain(t *testing.T, pg *servers.Server) {
	url := pg.NewDatabase(t)
	s := storetest.Open(t, postgres.Engine, url)
	storetest.Put(t, s, storetest.Running())
	interrupted := storetest.Await(t.Context(), t, s, storetest.Running(), nil)
	pg.Stop(t)
	if got := <-interrupted; !errors.Is(got.Err, jobrun.ErrUnavailable) {
		t.Errorf("%+v, %v, want ErrUnavailable", got.Run, got.Err)
	}
	_, recordErr := s.RecordRun(t.Context(), storetest.Record().Key(), model.JobRunReport{}, storetest.Admit)
	for name, err := range map[string]error{
		"Ready": s.Ready(t.Context()), "PutRun": s.PutRun(t.Context(), storetest.Record()), "RecordRun": recordErr,
	} {
		if !errors.Is(err, jobrun.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	if _, err := s.Await(t.Context(), storetest.Running().Key(), nil); !errors.Is(err, jobrun.ErrUnavailable) {
		t.Errorf("Await: %v, want ErrUnavailable", err)
	}
	pg.Restart(t)
	storetest.WantRun(t, s, storetest.Running())
	done := storetest.Await(t.Context(), t, s, storetest.Running(), nil)
	storetest.Report(t, s, storetest.Record(func(r *jobrun.Record) { r.Run.ID = "new" }).Key(), model.JobRunReport{})
	storetest.Put(t, s, storetest.Record())
	storetest.WantAwaited(t, done, storetest.Record())
}

// TestListeningStartsAgain ends the one connection that listens, and concludes a run meanwhile.
func TestListeningStartsAgain(t *testing.T) {
	pg := servers.Start(t)
	url := pg.NewDatabase(t)
	s, other := storetest.Open(t, postgres.Engine, url), storetest.Open(t, postgres.Engine, url)
	for i := range 20 {
		id := func(r *jobrun.Record) { r.Run.ID = fmt.Sprint("run", i) }
		storetest.Put(t, s, storetest.Running(id))
		ctx, cancel := context.WithCancel(t.Context())
		done := storetest.Await(ctx, t, s, storetest.Running(id), nil)
		storetest.Exec(t, other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
		storetest.Put(t, other, storetest.Record(id))
		storetest.WantAwaited(t, done, storetest.Record(id))
		cancel()
	}
}

// TestProjectIndexIsBuilt has two servers build the index at once, and then replace an index that a
// server has left unfinished.
func TestProjectIndexIsBuilt(t *testing.T) {
	pg := servers.Start(t)
	url := pg.NewDatabase(t)
	s, other := storetest.Open(t, postgres.Engine, url), storetest.Open(t, postgres.Engine, url)
	for _, before := range []string{
		"SELECT 1", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobruns.runs_of_project'::regclass",
	} {
		storetest.Exec(t, s, before)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, s := range []*storetest.Store{s, other} {
			all.Go(func() { s.Listen(ctx, slog.New(slog.DiscardHandler)) })
		}
		for valid := false; !valid; time.Sleep(10 * time.Millisecond) {
			err := s.DB().QueryRow("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('jobruns.runs_of_project')").Scan(&valid)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Fatal(err)
			}
		}
		cancel()
		all.Wait()
	}
}
