package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

func TestStore(t *testing.T) { storetest.Exercise(t, sqlite.Engine, newURL) }

// newURL returns a path that has characters with a meaning in URLs.
func newURL(t *testing.T) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "a b%3F?x=1#y.db")
}

// open opens a new store.
func open(t *testing.T) (s *storetest.Store, url string) {
	t.Helper()
	url = newURL(t)
	return storetest.Open(t, sqlite.Engine, url), url
}

// TestAwaitReadsTheRunWhenItsConclusionWasDeleted deletes a conclusion before the watch reads it,
// as the trigger does when very many runs conclude at once.
func TestAwaitReadsTheRunWhenItsConclusionWasDeleted(t *testing.T) {
	other := func(r *jobrun.Record) { r.Job = "other" }
	s, url := open(t)
	storetest.Put(t, s, storetest.Running())
	storetest.Put(t, s, storetest.Running(other))
	done := storetest.Await(t.Context(), t, s, storetest.Running(), nil)
	tx, err := storetest.Open(t, sqlite.Engine, url).DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(storetest.ConcludeAll, storetest.Record().Run.ConcludedAt.Unix()); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DELETE FROM conclusions WHERE job <> 'other'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	storetest.WantAwaited(t, done, storetest.Record())
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

// earlier returns the path of a store with the migrations up to that version, and the run of
// storetest.StoreRun.
func earlier(t *testing.T, version int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobruns.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), int64(version)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA application_id = 1785684594; " + storetest.StoreRun); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenUpgradesEveryEarlierSchema(t *testing.T) {
	storetest.ExerciseUpgrades(t, sqlite.Engine, migrations(t), func(t *testing.T, version int) string {
		return "sqlite:" + earlier(t, version)
	})
}

// schemaOf07 is the schema of version 0.7.
const schemaOf07 = 9

func TestOpenUpgradesVersion07(t *testing.T) {
	path := earlier(t, schemaOf07)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(storetest.StoreRunsOf07 + `; UPDATE runs SET lease_boot = 'boot', lease_renewed = 1,
		lease_renewed_at = 1607428100 WHERE id = 'running'` + storetest.StoreTokenOf07(`randomblob(32)`)); err != nil {
		t.Fatal(err)
	}
	storetest.ExerciseUpgradeOf07(t, sqlite.Engine, "sqlite:"+path)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	directory := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for url, want := range map[string]string{
		"":                           "not of the form sqlite:PATH",
		"sqlite:":                    "not of the form sqlite:PATH",
		"mysql:x":                    "not of the form sqlite:PATH",
		"sqlite:" + directory:        "is a directory",
		"sqlite:/nowhere/jobruns.db": "no such file or directory",
		"sqlite:" + write("text", strings.Repeat("this is no database. ", 100)):                                                               "not a SQLite database",
		"sqlite:" + alter(t, "newer", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, 1); "+storetest.RaiseOldestWriter): fmt.Sprintf("needs schema 1000, this program knows %d: use a newer version", migrations(t)),
		"sqlite:" + alter(t, "foreign", "PRAGMA application_id = 0"):                                                                          "belongs to another program",
		"sqlite:" + write("file", "") + "/below.db":                                                                                           "not a directory",
	} {
		s, err := store.Open(t.Context(), url, sqlite.Engine)
		if err == nil {
			s.Close()
		}
		shown := strings.Contains(fmt.Sprint(err), fmt.Sprintf("%q", url))
		if !errors.Is(err, store.ErrUnusable) || !strings.Contains(err.Error(), want) ||
			shown != sqlite.Engine.Takes(url) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
}

// alter returns the path of a new store after the statement.
func alter(t *testing.T, name, statement string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := storetest.Open(t, sqlite.Engine, "sqlite:"+path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	return path
}
