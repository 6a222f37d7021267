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

// init registers two SQL functions: boot, the machine's boot, and steady, its clock since then in
// milliseconds.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction(
		"boot",
		0,
		func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
			return bootID()
		},
	)
	sqlite.MustRegisterScalarFunction("steady", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		now, err := steadyClock()
		return now.Milliseconds(), err
	})
}

// applicationID marks a file as ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// maxConnections caps how many readers run at once, each with a cache of its own. SQLite has one
// writer at a time in any case.
const maxConnections = 4

// options configure each connection. WAL lets readers read while another process writes. FULL makes
// a commit survive a power loss. A writer waits up to 10 seconds for the lock, and takes it when
// its transaction begins, so that it cannot fail halfway because another was faster. The cache of
// half a megabyte holds the upper pages of a table's tree; the operating system caches the others.
var options = url.Values{
	"_pragma": {
		"busy_timeout(10000)",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"temp_store(FILE)",
		"cache_size(-512)",
	},
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
