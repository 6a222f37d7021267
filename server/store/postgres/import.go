package postgres

import (
	"context"
	"database/sql"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jobruns/jobruns/server/store"
)

// importRows first collects the runs in a temporary table, so that no other process waits until the
// last run has been read. From then on, writers wait that start or end a run of the same jobs.
func importRows(ctx context.Context, db *sql.DB, rows store.Rows) (partly bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	return false, conn.Raw(func(driver any) error {
		options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted} // as readCommitted of package store
		return pgx.BeginTxFunc(ctx, driver.(*stdlib.Conn).Conn(), options, func(tx pgx.Tx) error {
			if _, err := tx.Exec(
				ctx,
				"CREATE TEMPORARY TABLE imported (LIKE "+rows.Table+", line bigserial) ON COMMIT DROP",
			); err != nil {
				return err
			}
			next, stop := iter.Pull2(rows.Values)
			defer stop()
			source := pgx.CopyFromFunc(func() ([]any, error) {
				row, err, _ := next()
				return row, err
			})
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, rows.Columns, source); err != nil {
				return err
			}
			const jobs = "SELECT DISTINCT team, project, job FROM imported"
			if _, err := tx.Exec(ctx, "INSERT INTO "+rows.Jobs+" (team, project, job) "+jobs+
				" ORDER BY team, project, job ON CONFLICT DO NOTHING"); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "SELECT FROM "+rows.Jobs+" AS jobs NATURAL JOIN ("+jobs+") AS imported"+
				" ORDER BY team, project, job FOR UPDATE OF jobs"); err != nil {
				return err
			}
			columns := strings.Join(rows.Columns, ", ")
			if _, err := tx.Exec(ctx, "INSERT INTO "+rows.Table+" ("+columns+") SELECT "+columns+
				" FROM (SELECT DISTINCT ON (team, project, job, id) * FROM imported"+
				" ORDER BY team, project, job, id, line DESC) last "+
				rows.OnConflict); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, rows.LookUpJobs(jobs))
			return err
		})
	})
}
