package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jobruns/jobruns/server/store"
)

//go:embed migrations
var embedded embed.FS

// versionTable is the one that goose makes, with which earlier programs migrated, and finds.
const versionTable = `CREATE TABLE goose_db_version (
	id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL,
	tstamp TIMESTAMP DEFAULT (datetime('now')));
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`

// prepare brings the schema of a file up to date. It locks nothing if it is.
// Returns an error that wraps store.ErrUnusable if the file is another program's, or needs a newer
// version of this one.
func prepare(ctx context.Context, to driver.Connector) error {
	migrations, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	db := sql.OpenDB(to)
	defer db.Close()
	var id int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		if current, err := store.IsCurrent(ctx, db, migrations, ""); err != nil || current {
			return err
		}
	}
	// All in one transaction: if several processes start at once, SQLite's lock, which only those
	// can hold who may write the file, has one do it. One that is killed halfway has done nothing.
	// goose would take several, and needs a lock of another kind.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	if err := migrate(ctx, tx, migrations); err != nil {
		return err
	}
	return tx.Commit()
}

// migrate applies the migrations that the database lacks, and marks an empty one as ours.
func migrate(ctx context.Context, tx *sql.Tx, migrations fs.FS) error {
	var id, tables int
	if err := tx.QueryRowContext(ctx,
		"SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").
		Scan(&id, &tables); err != nil {
		return err
	}
	if id != applicationID && tables > 0 {
		return fmt.Errorf("%w: the database belongs to another program: give another path", store.ErrUnusable)
	}
	if tables == 0 {
		if _, err := tx.ExecContext(
			ctx,
			fmt.Sprintf("PRAGMA application_id = %d; %s", applicationID, versionTable),
		); err != nil {
			return err
		}
	}
	if current, err := store.IsCurrent(ctx, tx, migrations, ""); err != nil || current {
		return err // another process was faster
	}
	var version int
	if err := tx.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "*.sql") // numbered from 1
	if err != nil {
		return err
	}
	for _, name := range names[version:] {
		version++
		statements, err := fs.ReadFile(migrations, name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		if _, err := tx.ExecContext(ctx,
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, 1)", version); err != nil {
			return err
		}
	}
	return nil
}
