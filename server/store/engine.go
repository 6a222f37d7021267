package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"iter"

	"github.com/pressly/goose/v3"
)

// Engine is a kind of database that a store can be in, and says where they differ. This package has SQLite; others have
// a package each, so that a program links only those that it passes to Open. No function may be nil; what they return is
// the database's own error, unless they say otherwise.
type Engine struct {
	// Form is how its URLs look, for a person.
	Form string
	// Takes reports whether a URL is one of its own.
	Takes func(url string) bool
	// Connect connects to the database that the URL names, and brings its schema up to date. Its error says what to do, and
	// tells no password.
	Connect func(ctx context.Context, url string) (*sql.DB, error)
	// Lease says until when a recorder vouches for a run.
	Lease Lease
	// Prepares is whether a query that is not prepared is parsed and planned each time.
	Prepares bool
	// Parameter is what numbered parameters begin with where there are many. $1, which both engines know, is a name to SQLite,
	// and each name is looked for among all others.
	Parameter byte
	// SkipLocked ends a query for rows that are to be removed, so that it passes over those that another is writing.
	SkipLocked string
	// Import inserts all rows, or none if the sequence yields an error, which it returns. Nobody waits until the last row has
	// been read.
	Import func(ctx context.Context, db *sql.DB, rows Rows) error
	// Follow calls the watch's Begin, and from then on Concluded for each run that concludes and Lapsed at least once a second,
	// until the context ends or something is in the way, which it returns.
	Follow func(ctx context.Context, db *sql.DB, w *Watch) error
	// RefusedValue reports whether a constraint of the schema refused a value, and IsDuplicate whether it did because
	// there is the same already.
	RefusedValue, IsDuplicate func(error) bool
}

// Rows are to be inserted into the table runs. Of several of a run the last one counts.
type Rows struct {
	Columns []string
	// Values yields the values of each row, or the error that ends them.
	Values iter.Seq2[[]any, error]
	// OnConflict ends the statement that inserts them: what becomes of runs that are there already.
	OnConflict string
}

// IsCurrent reports whether the schema is up to date. goose would ask more questions, and nearly every start needs only
// this one.
func IsCurrent(ctx context.Context, db *sql.DB, migrations fs.FS) (bool, error) {
	names, err := fs.Glob(migrations, "*.sql") // numbered from 1
	if err != nil {
		return false, err
	}
	var version int
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version)
	return err == nil && version == len(names), nil // an error is goose's to find
}

// Migrate brings the schema up to date with goose, which must not run twice at once.
// Returns an error if the schema is that of a newer version of this program.
func Migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrations fs.FS) error {
	provider, err := goose.NewProvider(dialect, db, migrations)
	if err != nil {
		return err
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if has > knows {
		return fmt.Errorf("the database has schema %d, this program knows %d: use a newer version of it", has, knows)
	}
	_, err = provider.Up(ctx)
	return err
}
