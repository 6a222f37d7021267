// Package sqlite is the engine of stores in a file: SQLite, embedded, without cgo.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"github.com/jobruns/jobruns/server/store"
)

// Engine takes URLs of the form sqlite:PATH, where PATH is used as it is, without percent-decoding.
// Connect creates the file, readable for its owner only, if there is none.
//
// A lease counts on the machine's clock that does not jump when somebody sets the time of day, and
// that stands still while the machine is suspended. That clock starts anew with each boot, so the
// lease stores the boot too.
var Engine = store.Engine{
	Form:    "sqlite:PATH",
	Takes:   func(url string) bool { return strings.HasPrefix(url, prefix) && url != prefix },
	Connect: connect,
	Lease: store.Lease{
		Columns: []string{"lease_boot", "lease_renewed", "lease_renewed_at"},
		Values:  []string{"boot()", "steady()", "unixepoch()"},
		Clock:   "steady()",
		Counts:  "lease_boot = boot()",
		Lapsed: `CASE WHEN lease_boot IS NOT NULL AND (lease_boot <> boot() OR lease_renewed < steady() - %d)
		THEN lease_renewed_at END`,
	},
	Prepares:  true,
	Parameter: '?',
	Import:    importRows,
	Follow:    follow,
	Classify:  classify,
}

const prefix = "sqlite:"

// The SQL functions boot, the machine's boot, and steady, its clock since then in milliseconds.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("boot", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return bootID()
	})
	sqlite.MustRegisterScalarFunction("steady", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		now, err := steadyClock()
		return now.Milliseconds(), err
	})
}

// applicationID says of a file that it is ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// maxConnections bounds how many readers run at once, each with a memory of its own. SQLite has one writer at a time
// whatever the number.
const maxConnections = 4

// options hold for each connection. WAL lets readers go on while another process writes; FULL makes a commit
// outlive a power loss; a writer waits for its turn, and takes it when its transaction begins, so that it cannot find
// out halfway that another was faster. Half a megabyte keeps the upper pages of a table: the system keeps the others.
var options = url.Values{
	"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(FILE)", "cache_size(-512)"},
	"_txlock": {"immediate"},
}

func connect(ctx context.Context, text string) (*sql.DB, error) {
	path := strings.TrimPrefix(text, prefix)
	// SQLite's own errors name neither the file nor the reason.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute, RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	if err := migrate(ctx, db, filepath.Dir(absolute)); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}
