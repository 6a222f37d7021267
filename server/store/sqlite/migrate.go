package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

//go:embed migrations
var embedded embed.FS

const (
	// lockSuffix ends the name of the file that a process locks while it migrates the database.
	lockSuffix   = "-migrate"
	lockTimeout  = 10 * time.Second      // to get a lock that another process holds
	lockInterval = 20 * time.Millisecond // between two attempts to get the lock
)

// prepare brings the schema of the file up to date. It locks nothing if the schema is current. db
// has one connection, and the path leads to the file.
// Returns an error that wraps store.ErrUnusable if the file belongs to another program, or needs a
// newer version of this program.
func prepare(ctx context.Context, db *sql.DB, path string) error {
	migrations, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	var id, tables int
	if err := db.QueryRowContext(ctx,
		"SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)").
		Scan(&id, &tables); err != nil {
		return err
	}
	if id != applicationID && tables > 0 {
		return fmt.Errorf("%w: the database belongs to another program: give another path", store.ErrUnusable)
	}
	if current, err := store.IsCurrent(ctx, db, migrations, ""); err != nil || current {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // as SQLite does
		return err
	}
	lock, err := lockMigration(ctx, path)
	if err != nil {
		return err
	}
	defer lock.Close()
	if current, err := store.IsCurrent(ctx, db, migrations, ""); err != nil || current {
		return err // another process was faster
	}
	return migrate(ctx, db, path, migrations)
}

// migrate applies each migration that the database lacks, in a transaction of its own: the next
// start continues after a process that was killed. The caller holds the lock.
func migrate(ctx context.Context, db *sql.DB, path string, migrations fs.FS) error {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		// SQLite itself removes the log of an earlier database at this path, but not the index of
		// the log (https://sqlite.org/howtocorrupt.html, section 4.4).
		_ = os.Remove(path + "-shm")
	}
	// The first commit marks an empty file as ours. A power loss may undo the latest migrations.
	if _, err := db.ExecContext(ctx, fmt.Sprintf(
		"PRAGMA application_id = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", applicationID)); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// lockMigration locks the file beside the database until that is closed. The file stays: a process
// that removed it would let two others lock different files.
func lockMigration(ctx context.Context, path string) (*os.File, error) {
	file, err := openBeside(path, lockSuffix)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout,
		fmt.Errorf("%w: another process has held the lock of %s for %s", jobrun.ErrTimeout, file.Name(), lockTimeout))
	defer cancel()
	for {
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("%s: %w", file.Name(), err), file.Close())
		}
		select {
		case <-time.After(lockInterval):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		}
	}
}
