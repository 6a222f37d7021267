package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"

	"github.com/jobruns/jobruns/server/jobrun"
)

// ErrOpen means that a run of the job has not concluded.
var ErrOpen = errors.New("a run of the job has not concluded")

// CountRuns returns how many runs of the job of the key are stored.
// Returns jobrun.ErrNotFound if the job does not exist, and ErrOpen if one of its runs has not concluded.
func (s *Store) CountRuns(ctx context.Context, key jobrun.Key) (runs int, err error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	var running int
	err = s.db.QueryRowContext(ctx, "SELECT running, (SELECT count(*) FROM "+s.engine.table("runs")+ofJob+") FROM "+
		s.engine.table("jobs")+ofJob, key.Team, key.Project, key.Job).Scan(&running, &runs)
	if err == nil && running > 0 {
		err = ErrOpen
	}
	return runs, s.classify(ctx, err)
}

// RemoveJob deletes the job of the key with its runs, and returns how many runs it has deleted. Other
// writers of SQLite wait meanwhile.
// Returns errors as CountRuns does.
func (s *Store) RemoveJob(ctx context.Context, key jobrun.Key) (removed int, err error) {
	err = s.changeJob(ctx, key, func(tx *sql.Tx, args []any) error {
		removed, err = s.removeLocked(ctx, tx, args)
		return err
	})
	return removed, err
}

// RenameJob gives the job of the key another id, with all its runs. Other writers of SQLite wait
// meanwhile.
// Returns errors as CountRuns does, and ErrExists if there is a job of that id.
func (s *Store) RenameJob(ctx context.Context, key jobrun.Key, to string) error {
	return s.changeJob(ctx, key, func(tx *sql.Tx, args []any) error {
		for _, table := range []string{"jobs", "runs"} {
			update := "UPDATE " + s.engine.table(table) + " SET job = $4" + ofJob
			if _, err := tx.ExecContext(ctx, update, append(args, to)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeJob changes the job of the key and its runs in one transaction, in which no other process
// writes runs of the job. The arguments of change are those of ofJob.
func (s *Store) changeJob(ctx context.Context, key jobrun.Key, change func(tx *sql.Tx, args []any) error) error {
	tx, err := s.db.BeginTx(ctx, readCommitted)
	if err != nil {
		return s.classify(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	args, running := []any{key.Team, key.Project, key.Job}, 0
	query := "SELECT running FROM " + s.engine.table("jobs") + ofJob + s.engine.LockRow
	err = tx.QueryRowContext(ctx, query, args...).Scan(&running)
	if err == nil && running > 0 {
		err = ErrOpen
	}
	if err == nil {
		err = change(tx, args)
	}
	if err == nil {
		err = tx.Commit()
	}
	return s.classify(ctx, cmp.Or(err, s.Check()))
}

// removeLocked deletes a job that is locked, and its runs.
func (s *Store) removeLocked(ctx context.Context, tx *sql.Tx, args []any) (int, error) {
	result, err := tx.ExecContext(ctx, "DELETE FROM "+s.engine.table("runs")+ofJob, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM "+s.engine.table("jobs")+ofJob, args...)
	}
	return int(n), err
}
