package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"

	"github.com/jobruns/jobruns/server/store"
)

// importRows first collects the runs in a temporary table, which lies in a file of its own that nobody else waits for,
// so that others can write until the last run has been read.
func importRows(ctx context.Context, db *sql.DB, rows store.Rows) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The temporary table goes with the connection.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	columns := strings.Join(rows.Columns, ", ")
	if _, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE imported AS SELECT "+columns+" FROM runs WHERE false"); err != nil {
		return err
	}
	// Not BeginTx, which would lock out other writers from here on.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	insert, err := conn.PrepareContext(ctx, "INSERT INTO imported VALUES (?"+strings.Repeat(", ?", len(rows.Columns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for row, err := range rows.Values {
		if err != nil {
			return err // closing the connection rolls back
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "INSERT INTO runs ("+columns+") SELECT * FROM imported WHERE true ORDER BY team, project, job, id, rowid "+
		rows.OnConflict); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
