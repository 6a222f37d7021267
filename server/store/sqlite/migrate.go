package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/server/store"
)

//go:embed migrations
var migrations embed.FS

// migrate brings the schema up to date. If several processes start at once, one does it and the
// others wait. They lock the file's directory: a lock on the file itself would be SQLite's too, and
// vanish when this process closes the file a second time (https://sqlite.org/howtocorrupt.html,
// section 2.2).
func migrate(ctx context.Context, db *sql.DB, directory string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	lock, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	var id int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		if current, err := store.IsCurrent(ctx, db, files, ""); err != nil || current {
			return err
		}
	} else if err := claim(ctx, db); err != nil {
		return err
	}
	return store.Migrate(ctx, goose.DialectSQLite3, db, files, "")
}

// claim marks an empty database as ours. It does so before the first table is created, so that the
// mark is there even if this process is killed halfway.
// Returns an error if the database has tables already, which must be another program's.
func claim(ctx context.Context, db *sql.DB) error {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return errors.New("the database belongs to another program: give another path")
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	return err
}
