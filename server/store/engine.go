package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"
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
	// moved returns an error that wraps ErrUnusable if the database is no longer the one that the URL
	// names; it is nil if the engine does not know.
	Connect func(ctx context.Context, url string, create bool) (db *sql.DB, moved func() error, err error)
	// Tables returns what the names of the tables begin with in the database of that URL: a schema
	// and a point, or nothing. It may be nil: then it is nothing.
	Tables func(url string) string
	tables string // what Tables returned
	// Lease says until when a recorder vouches for a run.
	Lease Lease
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

// Lease says in SQL whether a recorder still vouches for a run. All processes that use the database
// see the same; the clocks of readers and writers do not matter.
type Lease struct {
	// Columns are null where no recorder vouches for the run. One of them is lease_renewed: when
	// the lease was renewed, in milliseconds.
	Columns []string
	// Values are those of the columns, for a lease that is renewed now.
	Values []string
	// Time is how long a lease lasts from its last renewal, unless the engine knows better whether
	// the recorder lives. A recorder renews it far more often.
	Time time.Duration
	// Running is a condition, of which the engine has an index: the run has a lease and has not
	// concluded.
	Running string
	// Lapsed is null, or when a lease that has run out was renewed, in seconds since 1970. It
	// contains %d for Time, in milliseconds.
	Lapsed string
}

// lapsedSince is Lapsed for Time.
func (l Lease) lapsedSince() string {
	return fmt.Sprintf(l.Lapsed, l.Time.Milliseconds())
}

// valuesFor returns the values of the columns for a run that is stored now.
func (l Lease) valuesFor(leased bool) string {
	if leased {
		return strings.Join(l.Values, ", ")
	}
	return strings.Repeat("NULL, ", len(l.Columns)-1) + "NULL"
}

// VersionTable is the table in which goose records the migrations.
const VersionTable = "goose_db_version"

// IsCurrent reports whether the program can use the schema as it is: the schema has all of the
// migrations, and maybe later ones that this program can live with. goose would send several queries,
// and nearly every start needs only this one.
// tables is what the names of tables begin with.
// Returns an error that wraps ErrUnusable if the schema needs a newer version of this program, and
// the database's error if it did not answer before the context ended.
func IsCurrent(ctx context.Context, db *sql.DB, migrations fs.FS, tables string) (bool, error) {
	names, err := fs.Glob(migrations, "*.sql") // numbered from 1
	if err != nil {
		return false, err
	}
	known := len(names)
	var version int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+tables+VersionTable).Scan(&version); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		return false, nil // there is no schema yet, or goose finds out what is wrong
	}
	if version <= int64(known) {
		return version == int64(known), nil
	}
	return true, checkWriter(ctx, db, tables, version, int64(known))
}

// checkWriter returns an error if the schema of a later version than this program knows must not be
// written by it. Each migration that breaks older programs sets oldest_writer to its own number.
func checkWriter(ctx context.Context, db *sql.DB, tables string, version, known int64) error {
	var oldest int64
	if err := db.QueryRowContext(ctx, "SELECT oldest_writer FROM "+tables+"schema_support").Scan(&oldest); err != nil {
		return fmt.Errorf("the database has schema %d, this program knows %d: %w", version, known, err)
	}
	if oldest > known {
		return fmt.Errorf("%w: the database has schema %d, this program knows %d: use a newer version of it",
			ErrUnusable, version, known)
	}
	return nil
}
