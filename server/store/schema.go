package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
)

// VersionTable is the table in which goose records the migrations, and the engines without goose.
const VersionTable = "goose_db_version"

// queryer is a database or a transaction in it.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// IsCurrent reports whether the program can use the schema as it is: it has all of the migrations,
// and maybe later ones that this program can live with. goose would ask more questions, and nearly
// every start needs only this one.
// tables is what the names of tables begin with.
// Returns an error that wraps ErrUnusable if the schema needs a newer version of this program, and
// the database's error if it did not answer before the context ended.
func IsCurrent(ctx context.Context, db queryer, migrations fs.FS, tables string) (bool, error) {
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
func checkWriter(ctx context.Context, db queryer, tables string, version, known int64) error {
	var oldest int64
	if err := db.QueryRowContext(ctx, "SELECT oldest_writer FROM "+tables+"schema_support").Scan(&oldest); err != nil {
		return fmt.Errorf("the database has schema %d, this program knows %d: %w", version, known, err)
	}
	if oldest > known {
		return fmt.Errorf(
			"%w: the database has schema %d, this program knows %d: use a newer version of it",
			ErrUnusable,
			version,
			known,
		)
	}
	return nil
}
