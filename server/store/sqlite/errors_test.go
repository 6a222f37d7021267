package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// TestClassify provokes each error in SQLite itself. The connections do not wait for locks.
func TestClassify(t *testing.T) {
	for name, test := range map[string]struct {
		before, statement string
		want              error
	}{
		"a mistake in SQL":       {"", "SELECT nothing FROM runs", nil},
		"a table that is gone":   {"DROP TABLE runs", "SELECT id FROM runs", jobrun.ErrUnavailable},
		"a constraint":           {"", "INSERT INTO runs VALUES (0)", jobrun.ErrInvalid},
		"a type":                 {"", "INSERT INTO runs VALUES ('text')", jobrun.ErrInvalid},
		"a duplicate":            {"INSERT INTO runs VALUES (1)", "INSERT INTO runs VALUES (1)", store.ErrExists},
		"another process writes": {"other", "INSERT INTO runs VALUES (2)", jobrun.ErrTimeout},
		"a full disk": {"PRAGMA max_page_count = 4", "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) INSERT INTO runs SELECT i FROM n",
			jobrun.ErrUnavailable},
		"a read-only file": {"PRAGMA query_only = 1", "INSERT INTO runs VALUES (3)", nil},
		"a damaged file":   {"damage", "SELECT count(*) FROM runs", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			connect := func() *sql.DB {
				db, err := sql.Open("sqlite", path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				db.SetMaxOpenConns(1)
				return db
			}
			exec := func(db *sql.DB, statement string) {
				t.Helper()
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			db := connect()
			exec(db, "CREATE TABLE runs (id INTEGER NOT NULL UNIQUE CHECK (id > 0)) STRICT")
			switch test.before {
			case "other":
				exec(connect(), "BEGIN IMMEDIATE")
			case "damage":
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				file, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				const page = 4096 // the first has the schema
				copy(file[page:], bytes.Repeat([]byte("garbage "), page/8))
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
				db = connect()
			default:
				exec(db, test.before)
			}
			_, err := db.Exec(test.statement)
			if err == nil {
				t.Fatal("no error")
			}
			if got := classify(err); !errors.Is(got, test.want) || !errors.Is(test.want, got) {
				t.Errorf("%v: %v, want %v", err, got, test.want)
			}
		})
	}
	if got := classify(errors.New("not SQLite's")); got != nil {
		t.Errorf("another error: %v", got)
	}
}
