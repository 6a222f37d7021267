package store

import (
	"context"
	"database/sql"
	"iter"
)

// Engine is a kind of database that a store can be in, and says where they differ. Each is a
// package of its own, so that a program links only those that it passes to Open. No function may be
// nil; what they return is the database's own error, unless they say otherwise.
type Engine struct {
	// Form is how its URLs look, for a person.
	Form string
	// Takes reports whether a URL is one of its own.
	Takes func(url string) bool
	// Connect connects to the database that the URL names, and brings its schema up to date. If there
	// is none, it creates one where create says so and the engine can, or else returns an error that
	// wraps ErrUnusable and fs.ErrNotExist. Its error says what to do, and contains no password.
	Connect func(ctx context.Context, url string, create bool) (*sql.DB, error)
	// Tables returns what the names of the tables begin with in the database of that URL: a schema
	// and a point, or nothing. It may be nil: then it is nothing.
	Tables func(url string) string
	tables string // what Tables returned
	// Lease says until when a recorder vouches for a run.
	Lease Lease
	// Revision is the column number of the table revision, or an expression that also changes when
	// another database takes the place of the one that was opened.
	Revision string
	// Prepares is whether a query that is not prepared is parsed and planned each time.
	Prepares bool
	// Lateral is whether the database has LATERAL subqueries.
	Lateral bool
	// Parameter is what numbered parameters begin with in statements that have many. Both engines
	// know $1, but to SQLite that is a name, and it looks for each name among all others.
	Parameter byte
	// SkipLocked ends a query for rows to delete, so that it skips those that another process
	// writes.
	SkipLocked string
	// Import inserts all rows, or none if the sequence yields an error, which it returns, or if a row
	// breaks a constraint. No writer of other runs waits for more than a second. Its error wraps ErrPartly if
	// some rows are inserted and others are not.
	Import func(ctx context.Context, db *sql.DB, rows Rows) error
	// Follow calls the watch's Begin, and from then on Concluded for each run that concludes and
	// Lapsed or LookAgain at least once a second, until the context ends or something fails. It
	// returns that error, or nil to be called again.
	Follow func(ctx context.Context, db *sql.DB, w *Watch) error
	// Classify returns what an error of the database is to a caller of the store: one of
	// jobrun.ErrUnavailable, jobrun.ErrTimeout, jobrun.ErrInvalid and ErrExists. Any other is nil:
	// it is a mistake of this program or of the operator of the database, and trying again does
	// not help.
	Classify func(error) error
}

// table returns the full name of a table.
func (e Engine) table(name string) string { return e.tables + name }

// Rows are to be inserted into the table runs. If several have the same key, the last one counts.
type Rows struct {
	Table   string // the full name of the table runs
	Columns []string
	// Values yields the values of each row, or the error that ends them. Values are valid until the
	// next row is asked for.
	Values iter.Seq2[[]any, error]
	// OnConflict ends the statement that inserts them: what becomes of runs that are there already.
	OnConflict string
}
