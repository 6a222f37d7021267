package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

//go:embed migrations
var migrations embed.FS

var schemaVersion = store.SchemaOf(migrations)

// migrationLock is the key of the advisory lock that a process holds while it migrates: "jobr".
const migrationLock = 1785684594

const (
	lookTimeout    = 5 * time.Second  // to find out that the schema is current
	lockTimeout    = 10 * time.Second // to get a lock that another process holds
	migrateTimeout = 5 * time.Minute  // for all else: changing a large table takes a while
)

// prepare looks at what the database is like, and brings its schema up to date if need be.
func prepare(ctx context.Context, db *sql.DB, d *dialer, tables string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	current, err := isCurrent(look, db, d, tables)
	if err != nil && look.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", jobrun.ErrTimeout, err)
	}
	if err != nil || current {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	return migrate(ctx, db, files, tables)
}

// isCurrent reports whether the schema is up to date. It takes no lock, so that nobody holds it up.
func isCurrent(ctx context.Context, db *sql.DB, d *dialer, tables string) (bool, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		pooled, err := isPooled(ctx, raw.(*stdlib.Conn).Conn())
		d.pooled.Store(pooled)
		if pooled && err == nil {
			return driver.ErrBadConn // the next connection is opened as a pooler needs it
		}
		return err
	})
	if err != nil && !d.pooled.Load() {
		return false, err
	}
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return false, err
	}
	if encoding != "UTF8" {
		return false, fmt.Errorf("%w: the database has the encoding %s: create one with UTF8", store.ErrUnusable, encoding)
	}
	return store.IsCurrent(ctx, db, schemaVersion, tables)
}

// migrate brings the schema up to date. If several processes start at once, one does it and the
// others wait.
func migrate(ctx context.Context, db *sql.DB, files fs.FS, tables string) error {
	// The lock lasts as long as its transaction: behind a pooler, a session's lock might stay for
	// ever.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var failure *pgconn.PgError
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d; SELECT pg_advisory_xact_lock(%d)",
		lockTimeout.Milliseconds(), migrationLock)); errors.As(err, &failure) && failure.Code == lockNotAvailable {
		return fmt.Errorf("%w: another process has held the migration lock for %s", jobrun.ErrTimeout, lockTimeout)
	} else if err != nil {
		return err
	}
	// An administrator may have created the schema for a user who may not, and whose CREATE SCHEMA
	// fails even with IF NOT EXISTS.
	exists := "SELECT to_regnamespace('" + schema + "') IS NOT NULL"
	if tables == "" {
		exists = "SELECT current_schema() IS NOT NULL"
	}
	var found bool
	if err := db.QueryRowContext(ctx, exists).Scan(&found); err != nil {
		return err
	}
	if !found {
		if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
			return err
		}
	}
	steps, err := steps(files, tables)
	if err != nil {
		return err
	}
	if current, err := store.IsCurrent(ctx, db, schemaVersion, tables); err != nil || current {
		return err // another process was faster
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, nil,
		goose.WithTableName(tables+store.VersionTable), goose.WithGoMigrations(steps...))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// steps returns the migrations in the files, whose statements do not name the schema: each sets it
// for its own transaction, because behind a pooler a session's setting might not last.
func steps(files fs.FS, tables string) ([]*goose.Migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = %d;\n",
		lockTimeout.Milliseconds())
	if tables != "" {
		settings += "SET LOCAL search_path = " + schema + ";\n"
	}
	var steps []*goose.Migration
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		up := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, settings+string(text))
			return err
		}
		steps = append(steps, goose.NewGoMigration(version, &goose.GoFunc{RunTx: up}, nil))
	}
	return steps, nil
}
