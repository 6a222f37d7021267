package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// projectIndex lists the runs of a project. Until it is built, such a list may take too long.
const projectIndex = "runs_of_project"

// buildInterval is how often build looks whether another process has built the index.
const buildInterval = 10 * time.Second

// build builds the index of the runs of a project without keeping writers waiting, which no
// migration can. A process that was stopped leaves an invalid index, which build replaces.
func build(ctx context.Context, db *sql.DB, tables string) error {
	for {
		var valid, busy sql.Null[bool]
		err := db.QueryRowContext(ctx, `SELECT indisvalid, EXISTS (SELECT FROM pg_stat_progress_create_index
			WHERE relid = indrelid) FROM pg_index WHERE indexrelid = to_regclass($1)`, tables+projectIndex).Scan(&valid, &busy)
		if err != nil && !errors.Is(err, sql.ErrNoRows) || valid.V {
			return err
		}
		if !busy.V {
			// Neither statement may share a transaction with another.
			if _, err := db.ExecContext(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+tables+projectIndex); err != nil {
				return err
			}
			_, err := db.ExecContext(ctx, "CREATE INDEX CONCURRENTLY IF NOT EXISTS "+projectIndex+" ON "+tables+
				"runs (team, project, status, started_at DESC, job, id)")
			return err
		}
		select {
		case <-time.After(buildInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
