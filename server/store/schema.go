package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// IsCurrent reports whether the program can use the schema as it is: it has all of the migrations,
// and maybe later ones that this program can live with. goose would ask more questions, and nearly
// every start needs only this one.
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
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+tables+goose.DefaultTablename).Scan(&version); err != nil {
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
		return fmt.Errorf(
			"%w: the database has schema %d, this program knows %d: use a newer version of it",
			ErrUnusable,
			version,
			known,
		)
	}
	return nil
}

// Migrate brings the schema up to date with goose, which must not run twice at once. migrations is
// nil if the options have them. tables is what the names of tables begin with.
// Returns an error that wraps ErrUnusable if the schema needs a newer version of this program.
func Migrate(
	ctx context.Context,
	dialect goose.Dialect,
	db *sql.DB,
	migrations fs.FS,
	tables string,
	options ...goose.ProviderOption,
) error {
	options = append(options, goose.WithTableName(tables+goose.DefaultTablename))
	provider, err := goose.NewProvider(dialect, db, migrations, options...)
	if err != nil {
		return err
	}
	version, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if version > known { // another process was faster, and is newer
		return checkWriter(ctx, db, tables, version, known)
	}
	_, err = provider.Up(ctx)
	return err
}
