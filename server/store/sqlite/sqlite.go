// Package sqlite is the engine of stores in a file: SQLite, embedded, without cgo.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"github.com/jobruns/jobruns/server/store"
)

// Engine takes URLs of the form sqlite:PATH, where PATH is used as it is, without percent-decoding.
// Connect creates the file for the owner of its directory, and for the group if the group may write
// the directory.
var Engine = store.Engine{
	Form:      "sqlite:PATH",
	Takes:     func(url string) bool { return strings.HasPrefix(url, prefix) && url != prefix },
	Connect:   connect,
	Schema:    schemaVersion,
	Prepares:  true,
	Parameter: '?',
	Import:    importRows,
	Follow:    follow,
	Explain:   explain,
	Classify:  classify,
}

const prefix = "sqlite:"

// Path returns the path of the file that a URL of the engine names.
func Path(url string) string { return strings.TrimPrefix(url, prefix) }

// applicationID marks a file as ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// maxConnections caps how many readers run at once, each with a cache of its own. SQLite has one
// writer at a time in any case.
const maxConnections = 4

// options configure a connection before it reads the file. A wait for a lock ends with its context.
// A transaction takes the lock to write when it begins, so that it cannot fail halfway because
// another one was faster.
var options = url.Values{
	"mode":    {"rw"}, // an empty database must not take the place of a file that was removed
	"_pragma": {"busy_timeout(10000)", "temp_store(FILE)"},
	"_txlock": {"immediate"},
}

// settings configure a connection to a file that prepare has accepted. WAL lets readers read while
// another process writes. FULL makes a commit survive a power loss. The cache of half a megabyte
// holds the upper pages of a table's tree; the operating system caches the others.
const settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512"

func connect(ctx context.Context, text string, create bool) (*sql.DB, func() error, error) {
	path, err := filepath.Abs(Path(text))
	if err != nil {
		return nil, nil, err
	}
	to, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, nil, err
	}
	unprepared := sql.OpenDB(to)
	defer unprepared.Close() // after db has connected: the last one to close a file removes its log
	unprepared.SetMaxOpenConns(1)
	file, err := openFile(ctx, unprepared, path, create)
	if err != nil {
		return nil, nil, openError(path, err)
	}
	c := &connector{to, path, file}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, func() error {
		err := c.moved()
		if err != nil {
			// SQLite would apply what is left in the log to another file in its place
			// (https://sqlite.org/howtocorrupt.html, section 4.4).
			_, _ = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		return err
	}, nil
}

// openFile creates the file if create says so and there is none, brings its schema up to date, and
// returns what identifies the file.
func openFile(ctx context.Context, db *sql.DB, path string, create bool) (os.FileInfo, error) {
	if create {
		if err := createFile(path); err != nil {
			return nil, err
		}
	}
	file, err := statFile(path)
	if err != nil {
		return nil, err
	}
	return file, prepare(ctx, db, path)
}

// connector opens connections to one file.
type connector struct {
	driver.Connector // SQLite's own
	path             string
	file             os.FileInfo // the file at the path when the store was opened
}

// Connect returns an error that names the file and says what to do, also if another file is at the
// path: SQLite would apply the log of the earlier one to it.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.moved(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, openError(c.path, err)
	}
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, settings, nil); err != nil {
		return nil, errors.Join(openError(c.path, err), conn.Close())
	}
	return conn, nil
}

// moved returns an error if the file is no longer at its path.
func (c *connector) moved() error {
	if now, err := os.Stat(c.path); err == nil && os.SameFile(now, c.file) {
		return nil
	}
	return fmt.Errorf("%w: %s was moved, removed or replaced while it was open: stop the programs that use it"+
		" before you do that, and start them again afterwards", store.ErrUnusable, c.path)
}
