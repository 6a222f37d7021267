package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/server/store"
)

//go:embed migrations
var migrations embed.FS

// migrationLock is the key of the advisory lock that a process holds while it migrates: "jobr".
const migrationLock = 1785684594

// migrate brings the schema up to date. If several processes start at once, one does it and the
// others wait.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s: create one with UTF8", encoding)
	}
	if current, err := store.IsCurrent(ctx, db, files); err != nil || current {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	}()
	// An administrator may have created the schema for a user who may not, and whose CREATE SCHEMA
	// fails even with IF NOT EXISTS.
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT current_schema() IS NOT NULL").Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
			return err
		}
	}
	return store.Migrate(ctx, goose.DialectPostgres, db, files)
}
