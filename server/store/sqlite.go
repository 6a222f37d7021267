package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// applicationID says of a file that it is ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// sqliteConnections bounds how many readers run at once. SQLite has one writer at a time whatever the number.
const sqliteConnections = 8

// sqliteOptions hold for each connection. WAL lets readers go on while another process writes; FULL makes a commit
// outlive a power loss; a writer waits for its turn, and takes it when its transaction begins, so that it cannot find
// out halfway that another was faster.
var sqliteOptions = url.Values{
	"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(FILE)"},
	"_txlock": {"immediate"},
}

func openSQLite(ctx context.Context, path string) (*sql.DB, error) {
	// SQLite's own errors name neither the file nor the reason.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute, RawQuery: sqliteOptions.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	if err := migrateSQLite(ctx, db, filepath.Dir(absolute)); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}

// explain says in words what SQLite says in numbers.
func explain(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & 0xff { // the upper bits hold details: https://sqlite.org/rescode.html
	case lib.SQLITE_NOTADB:
		return errors.New("the file is not a SQLite database: give another path, or move the file away")
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the database is damaged: restore a backup (%w)", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("the file or its directory cannot be written: check who owns them (%w)", err)
	}
	return err
}

// migrateSQLite brings the schema up to date. Of several processes that start at once one does it, the others wait:
// they lock the directory of the file, because SQLite's own locks vanish when the process opens and closes the file
// once more (https://sqlite.org/howtocorrupt.html, section 2.2).
func migrateSQLite(ctx context.Context, db *sql.DB, directory string) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
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
		if current, err := isCurrent(ctx, db, files); err != nil || current {
			return err
		}
	} else if err := claim(ctx, db); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
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

// claim marks an empty database as ours. That comes before the first table, so that the database is ours even when this
// process is killed halfway.
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

// isCurrent reports whether the schema is up to date. goose would ask more questions, and nearly every start needs only
// this one.
func isCurrent(ctx context.Context, db *sql.DB, files fs.FS) (bool, error) {
	names, err := fs.Glob(files, "*.sql") // numbered from 1
	if err != nil {
		return false, err
	}
	var version int
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version)
	return err == nil && version == len(names), nil // an error is goose's to find
}

// isConstraint reports whether a constraint of the schema refused a value.
func isConstraint(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code()&0xff == lib.SQLITE_CONSTRAINT
}

// isDuplicate reports whether the schema refused a value because there is the same already.
func isDuplicate(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code() == lib.SQLITE_CONSTRAINT_UNIQUE
}
