package e2e

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// openDatabase opens the database of a store behind the back of the programs.
func openDatabase(t testing.TB, store string) *sql.DB {
	t.Helper()
	driver, source := "pgx", store+"&search_path=jobruns"
	if file, ok := strings.CutPrefix(store, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(1)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// change executes a statement in the database of a store.
func change(t testing.TB, store, statement string, args ...any) {
	t.Helper()
	db := openDatabase(t, store)
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestUnusableStores(t *testing.T) {
	t.Parallel()
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := func(statement string) string {
		path := strings.TrimPrefix(newStore(t), "sqlite:")
		if strings.HasPrefix(statement, "INSERT") {
			output(t, "jobrund", "import", os.DevNull, "--store", "sqlite:"+path) // which makes the database
		}
		change(t, "sqlite:"+path, statement)
		return path
	}
	const form = "this store cannot be used: its URL is not of the form sqlite:PATH or postgres://"
	for name, test := range map[string]struct{ store, says string }{
		"another form":    {"mysql://u:hush@localhost/x", form},
		"keywords":        {"host=db1 user=u password=hush", form},
		"no form":         {"jobruns.db", form},
		"no path":         {"sqlite:", form},
		"no folder":       {"sqlite:" + filepath.Join(t.TempDir(), "no", "x.db"), "no such file or directory"},
		"a folder":        {"sqlite:" + t.TempDir(), "is a directory"},
		"in a file":       {"sqlite:" + filepath.Join(file("f", ""), "x.db"), "not a directory"},
		"not a database":  {"sqlite:" + file("x.db", strings.Repeat("not a database\n", 1000)), "is not a SQLite database"},
		"another program": {"sqlite:" + database("CREATE TABLE theirs (x)"), "belongs to another program"},
		"newer":           {"sqlite:" + database("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999999999999, 1); UPDATE schema_support SET oldest_writer = 99999999999999"), "use a newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"serve --addr 127.0.0.1:0", "token list"} {
				got := jobrund(t, append(strings.Fields(command), "--store", test.store)...)
				if got.status != 1 || got.stdout != "" {
					t.Errorf("%s: exit status %d and %q on standard output, want 1 and nothing", command, got.status,
						got.stdout)
				}
				message, isLine := strings.CutSuffix(got.stderr, "\n")
				prefix := `jobrund: store "` + test.store + `": `
				if test.says == form {
					prefix = "jobrund: " + form // the URL may have a password
				}
				if !isLine || strings.Contains(message, "\n") || !strings.HasPrefix(message, prefix) ||
					!strings.Contains(message, test.says) {
					t.Errorf("%s: %q, without %q", command, got.stderr, test.says)
				}
			}
		})
	}
}
