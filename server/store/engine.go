package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"iter"
)

// Engine is a kind of database that a store can be in, and says where they differ. Each is a
// package of its own, so that a program links only those that it passes to Open. No function may be
// nil, unless its comment says so; what they return is the database's own error, unless they say otherwise.
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
	// Redact returns the part of a URL that messages may show. It may be nil: then messages show
	// the URL.
	Redact func(url string) string
	// Tables returns what the names of the tables begin with in the database of that URL: a schema
	// and a point, or nothing. It may be nil: then it is nothing.
	Tables func(url string) string
	tables string // what Tables returned
	// Schema is the number of the engine's latest migration.
	Schema int64
	// LockRow ends a query for a row to change, so that no other process changes it before the
	// transaction ends.
	LockRow string
	// Prepares is whether a query that is not prepared is parsed and planned each time.
	Prepares bool
	// Parameter is what numbered parameters begin with in statements that have many. Both engines
	// know $1, but to SQLite that is a name, and it looks for each name among all others.
	Parameter byte
	// SkipLocked ends a query for rows to delete, so that it skips those that another process
	// writes.
	SkipLocked string
	// Import inserts all rows, or none if the sequence yields an error, which it returns, or if a row
	// breaks a constraint. partly is true if an error leaves some rows inserted and others not.
	Import func(ctx context.Context, db *sql.DB, rows Rows) (partly bool, err error)
	// Build builds what the store can do without for a while, such as an index of a large table; nil if
	// there is nothing to build. Several processes may call it at once.
	Build func(ctx context.Context, db *sql.DB, tables string) error
	// Follow calls the watch's Begin, and from then on Concluded for each run that concludes, or
	// LookAgain, until the context ends or something fails. It returns that error, or nil to be called
	// again.
	Follow func(ctx context.Context, db *sql.DB, w *Watch) error
	// Explain returns an error of the database of that URL as one line for the operator, which
	// names the file and the remedy, if there is one. It wraps the error. It may be nil.
	Explain func(url string, err error) error
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
	Jobs    string // the full name of the table jobs
	Columns []string
	// Values yields the values of each row, or the error that ends them. Values are valid until the
	// next row is asked for.
	Values iter.Seq2[[]any, error]
	// OnConflict ends the statement that inserts them: what becomes of runs that are there already.
	OnConflict string
	// LookUpJobs returns a statement that updates the jobs whose keys the query selects. It belongs to
	// the transaction that inserts their runs.
	LookUpJobs func(query string) string
}

// VersionTable is the table in which goose records the migrations.
const VersionTable = "goose_db_version"

// IsCurrent reports whether the program can use the schema as it is: the schema has all known
// migrations, and maybe later ones that this program can live with. goose would send several queries,
// and nearly every start needs only this one.
// tables is what the names of tables begin with.
// Returns an error that wraps ErrUnusable if the schema needs a newer version of this program, and
// the database's error if it did not answer before the context ended.
func IsCurrent(ctx context.Context, db *sql.DB, known int64, tables string) (bool, error) {
	var version int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+tables+VersionTable).Scan(&version); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		return false, nil // there is no schema yet, or goose finds out what is wrong
	}
	if version <= known {
		return version == known, nil
	}
	var oldest int64
	if err := db.QueryRowContext(ctx, "SELECT oldest_writer FROM "+tables+"schema_support").Scan(&oldest); err != nil {
		return true, fmt.Errorf("the database has schema %d, this program knows %d: %w", version, known, err)
	}
	return true, checkWriter(oldest, known)
}

// checkWriter returns an error if a program that knows the schema known must not write the database.
// Each migration that breaks older programs sets oldest_writer to its own number.
func checkWriter(oldest, known int64) error {
	if oldest > known {
		return fmt.Errorf("%w: the database needs schema %d, this program knows %d: use a newer version of it",
			ErrUnusable, oldest, known)
	}
	return nil
}

// SchemaOf returns the number of the latest of the migrations, which are numbered from 1.
func SchemaOf(migrations fs.FS) int64 {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is valid
	return int64(len(names))
}
