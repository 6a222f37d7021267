// Package sqlite is the engine of stores in a file: SQLite, embedded, without cgo.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"github.com/jobruns/jobruns/server/store"
)

// Engine takes URLs of the form sqlite:PATH, where PATH is used as it is, without percent-decoding.
// Connect creates the file for the owner of its directory, and for the group if that may write the
// directory. A file that takes the place of the one that was opened is used from then on; while
// there is none, every call fails with jobrun.ErrUnavailable.
var Engine = store.Engine{
	Form:      "sqlite:PATH",
	Takes:     func(url string) bool { return strings.HasPrefix(url, prefix) && url != prefix },
	Connect:   connect,
	Lease:     lease,
	Revision:  "number | (generation() << 40)",
	Prepares:  true,
	Parameter: '?',
	Import:    importRows,
	Follow:    follow,
	Classify:  classify,
}

const prefix = "sqlite:"

// Path returns the path of the file that a URL of the engine names.
func Path(url string) string { return strings.TrimPrefix(url, prefix) }

// init registers the SQL function generation.
func init() {
	sqlite.MustRegisterScalarFunction(
		"generation",
		0,
		func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
			return generation.Load(), nil
		},
	)
}

// applicationID marks a file as ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// maxConnections caps how many readers run at once, each with a cache of its own. SQLite has one
// writer at a time in any case.
const maxConnections = 4

func connect(ctx context.Context, text string, create bool) (*sql.DB, error) {
	path, err := filepath.Abs(Path(text))
	if err != nil {
		return nil, err
	}
	if create {
		if err := createFile(path); err != nil {
			return nil, explain(path, err)
		}
	}
	to, err := newConnector(path)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(to)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
