package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	openTimeout = 10 * time.Second      // how long opening waits for other processes
	openPause   = 20 * time.Millisecond // between two attempts to open
)

// options configure each connection while it is opened. FULL makes a commit survive a power loss.
// An attempt to open waits only briefly for a lock, because it does not end with its context; the
// connector tries again. A transaction takes the lock to write when it begins, so that it cannot
// fail halfway because another was faster. The cache of half a megabyte holds the upper pages of a
// table's tree; the operating system caches the others.
var options = url.Values{
	"mode": {"rw"}, // an empty database must not take the place of a file that is gone
	"_pragma": {
		"busy_timeout(100)",
		"synchronous(FULL)",
		"temp_store(FILE)",
		"cache_size(-512)",
	},
	"_txlock": {"immediate"},
}

// opened configures a connection to a file that is known to be ours. WAL lets readers read while
// another process writes; the file remembers it. To read the version opens the log, so that filesOf
// finds it. A writer waits up to 10 seconds for the lock.
const opened = "PRAGMA journal_mode = WAL; PRAGMA schema_version; PRAGMA busy_timeout = 10000"

// generation counts how often a store of this process was found to be in another file than before.
// The SQL function generation returns it, so that nothing that was read from the earlier file is
// taken for something of the later one.
var generation atomic.Int64

// connector connects to the file that the path leads to at the time. When another file has taken
// the place of the one that it knew, it prepares that one as it did the first.
type connector struct {
	driver.Connector // SQLite's own
	path             string
	known            atomic.Pointer[files]
}

func newConnector(path string) (*connector, error) {
	to, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String())
	return &connector{Connector: to, path: path}, err
}

// Connect waits for locks of other processes until the context ends, or for openTimeout, after which
// its error wraps jobrun.ErrTimeout. To bring the schema of a large file up to date may take longer
// once it has the lock. Its error names the file and says what to do.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, openTimeout, jobrun.ErrTimeout)
	defer cancel()
	for {
		conn, err := c.connect(ctx)
		if err == nil {
			return conn, nil
		}
		if !isBusy(err) && !errors.Is(err, errReplaced) && ctx.Err() == nil {
			return nil, explain(c.path, err)
		}
		select {
		case <-time.After(openPause):
		case <-waiting.Done():
			return nil, fmt.Errorf(
				"%s: it could not be opened in time, another process may have locked it: %w",
				c.path,
				context.Cause(waiting),
			)
		}
	}
}

// errReplaced means that the file was replaced while it was being opened.
var errReplaced = errors.New("the file was replaced meanwhile")

func (c *connector) connect(ctx context.Context) (driver.Conn, error) {
	file, err := statFile(c.path)
	if err != nil {
		return nil, err
	}
	known := c.known.Load()
	isNew := known == nil || !os.SameFile(known.database, file)
	if known != nil && isNew {
		known.removeLeftovers()
	}
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := connection{raw.(sqliteConn), c, file}
	if isNew {
		err = prepare(ctx, c.Connector)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, opened, nil)
	}
	if err == nil && !conn.isCurrent() {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if known != nil && isNew {
		generation.Add(1)
	}
	c.known.Store(filesOf(c.path, file))
	return conn, nil
}

// sqliteConn is what SQLite's connections can do, and database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// connection is a connection to one file, and no longer used when the path leads to another.
type connection struct {
	sqliteConn
	connector *connector
	file      os.FileInfo
}

// ResetSession is called before each use of the connection but the first. To look at the path takes
// a microsecond, a tenth of the quickest query.
func (c connection) ResetSession(ctx context.Context) error {
	if !c.isCurrent() {
		return driver.ErrBadConn
	}
	return c.sqliteConn.ResetSession(ctx)
}

func (c connection) isCurrent() bool {
	file, err := os.Stat(c.connector.path)
	return err == nil && os.SameFile(file, c.file)
}
