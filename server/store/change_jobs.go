package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"

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

// RemoveJob deletes the job of the key with its runs, a page at a time, and returns how many runs it
// has deleted, even when it fails. A run that starts meanwhile stays, and so does its job.
// Returns errors as CountRuns does.
func (s *Store) RemoveJob(ctx context.Context, key jobrun.Key) (removed int, err error) {
	if _, err := s.CountRuns(ctx, key); err != nil {
		return 0, err
	}
	args, runs := []any{key.Team, key.Project, key.Job}, s.engine.table("runs")
	for n := int64(1); n > 0; {
		result, err := s.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s%[2]s AND concluded = 1 AND id IN"+
			" (SELECT id FROM %[1]s%[2]s AND concluded = 1 LIMIT %[3]d)", runs, ofJob, PageSize), args...)
		if err != nil {
			return removed, err
		}
		if n, err = result.RowsAffected(); err != nil {
			return removed, err
		}
		removed += int(n)
	}
	if _, err := s.exec(ctx, s.engine.lookUpJobs(oneJob, false), args...); err != nil {
		return removed, err
	}
	return removed, s.removeJobs(ctx, "jobs.team = $1 AND jobs.project = $2 AND jobs.job = $3", args...)
}

// removeJobs deletes the jobs for which the condition holds and that have no runs.
func (s *Store) removeJobs(ctx context.Context, condition string, args ...any) error {
	_, err := s.exec(ctx, "DELETE FROM "+s.engine.table("jobs")+" AS jobs WHERE "+condition+" AND NOT EXISTS (SELECT 1 FROM "+
		s.engine.table("runs")+" AS runs WHERE runs.team = jobs.team AND runs.project = jobs.project AND runs.job = jobs.job)", args...)
	return err
}

// RenameJob gives the job of the key another id, with all its runs, in one transaction. Other writers
// of SQLite wait meanwhile.
// Returns errors as CountRuns does, and ErrExists if there is a job of that id.
func (s *Store) RenameJob(ctx context.Context, key jobrun.Key, to string) error {
	if _, err := s.CountRuns(ctx, key); err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.classify(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	args := []any{key.Team, key.Project, key.Job, to}
	result, err := tx.ExecContext(ctx, "UPDATE "+s.engine.table("jobs")+" SET job = $4"+ofJob+" AND running = 0", args...)
	if err != nil {
		return s.classify(ctx, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, ErrOpen)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE "+s.engine.table("runs")+" SET job = $4"+ofJob, args...); err != nil {
		return s.classify(ctx, err)
	}
	return s.classify(ctx, tx.Commit())
}
