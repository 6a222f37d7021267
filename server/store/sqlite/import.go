package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"

	"github.com/jobruns/jobruns/server/store"
)

// importRows first collects the runs in a temporary table. It is in a file of its own, so that
// other processes can write until the last run has been read.
func importRows(ctx context.Context, db *sql.DB, rows store.Rows) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The temporary table lasts as long as the connection, which therefore must not be reused.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	columns := strings.Join(rows.Columns, ", ")
	if _, err := conn.ExecContext(
		ctx,
		"CREATE TEMPORARY TABLE imported AS SELECT "+columns+" FROM runs WHERE false",
	); err != nil {
		return err
	}
	// BeginTx would lock out other writers from here on: it begins an immediate transaction.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	insert, err := conn.PrepareContext(
		ctx,
		"INSERT INTO imported VALUES (?"+strings.Repeat(", ?", len(rows.Columns)-1)+")",
	)
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
	if _, err := conn.ExecContext(
		ctx,
		"INSERT INTO runs ("+columns+") SELECT * FROM imported WHERE true ORDER BY team, project, job, id, rowid "+
			rows.OnConflict,
	); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
