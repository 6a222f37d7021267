package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/jobruns/jobruns/server/store"
)

// SQLite has one writer at a time and does not queue the others: each tries again every 100 ms at the
// latest. An import gives the lock up after lockTime, for long enough that each of them has tried.
var lockTime = 250 * time.Millisecond

const pauseTime = 110 * time.Millisecond

// importSize is how many runs an import stores with one statement.
const importSize = 1000

// importRows first collects the runs in temporary tables, which are in a file of their own, so that
// other processes can write until the last run has been read. Then it stores them in the order of
// their keys, which takes a fraction of the time, in many short transactions.
func importRows(ctx context.Context, db *sql.DB, rows store.Rows) (partly bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	// What follows lasts as long as the connection, which therefore must not be reused.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	if err := collect(ctx, conn, rows); err != nil {
		return false, err
	}
	// All rows are checked already.
	if _, err := conn.ExecContext(ctx, "PRAGMA ignore_check_constraints = ON"); err != nil {
		return false, err
	}
	columns := strings.Join(rows.Columns, ", ")
	insert, err := conn.PrepareContext(ctx, "INSERT INTO runs ("+columns+") SELECT "+columns+
		" FROM checked WHERE rowid > $1 AND rowid <= $2 "+rows.OnConflict)
	if err != nil {
		return false, err
	}
	defer insert.Close()
	var count int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM checked").Scan(&count); err != nil {
		return false, err
	}
	for stored := 0; stored < count; {
		if stored > 0 {
			time.Sleep(pauseTime)
		}
		next, err := storePiece(ctx, conn, insert, rows.LookUpJobs, stored, count)
		if err != nil {
			return stored > 0, err
		}
		stored = next
	}
	return false, nil
}

// collect reads all rows, and then moves them, in the order of their keys, into the temporary table
// checked, which refuses what the table runs would refuse. To check each row when it is read would
// take twice as long: one statement prepares its patterns once.
func collect(ctx context.Context, conn *sql.Conn, rows store.Rows) error {
	columns := strings.Join(rows.Columns, ", ")
	var definition string // without a key, which would make it slower by half
	if err := conn.QueryRowContext(ctx,
		`SELECT replace(replace(replace(sql, 'CREATE TABLE runs', 'CREATE TEMPORARY TABLE checked'),
		'PRIMARY KEY (team, project, job, id),', ''), ', WITHOUT ROWID', '')
		FROM sqlite_schema WHERE name = 'runs'`).Scan(&definition); err != nil {
		return err
	}
	// BeginTx would lock out other writers from here on: it begins an immediate transaction.
	if _, err := conn.ExecContext(ctx, definition+"; CREATE TEMPORARY TABLE imported AS SELECT "+columns+
		" FROM runs WHERE false; BEGIN"); err != nil {
		return err
	}
	parameters := "?" + strings.Repeat(", ?", len(rows.Columns)-1)
	insert, err := conn.PrepareContext(ctx, "INSERT INTO imported VALUES ("+parameters+")")
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
	_, err = conn.ExecContext(ctx, "INSERT INTO checked ("+columns+
		") SELECT * FROM imported ORDER BY team, project, job, id, rowid; COMMIT; DROP TABLE imported")
	return err
}

// storePiece stores some of the rows after the first ones, and the states of their jobs, in one
// transaction, and returns how many are stored then.
func storePiece(
	ctx context.Context, conn *sql.Conn, insert *sql.Stmt, lookUpJobs func(string) string, stored, count int,
) (int, error) {
	first := stored
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	for end := time.Now().Add(lockTime); ; {
		if _, err := insert.ExecContext(ctx, stored, stored+importSize); err != nil {
			return 0, err
		}
		if stored += importSize; stored >= count || time.Now().After(end) {
			break
		}
	}
	_, err := conn.ExecContext(ctx, lookUpJobs(fmt.Sprintf(
		"SELECT DISTINCT team, project, job FROM checked WHERE rowid > %d AND rowid <= %d", first, stored))+"; COMMIT")
	return stored, err
}
