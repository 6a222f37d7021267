package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// PageSize is how many runs Prune looks at and deletes with one statement. Other writers of SQLite
// wait meanwhile.
const PageSize = 1000

// Prune deletes the runs that concluded before the time, and returns how many it has deleted, even
// when it fails. A run whose recorder has died concluded when the lease was last renewed. A running
// run stays, and so does, until the next time, one that another process of PostgreSQL is writing.
//
// It walks through all runs in the order of their keys, a page at a time, so that others wait for
// no more than a page. An index of conclusions would find old runs sooner. But it makes a SQLite
// file larger by half, and deleting many runs six times slower, because runs that concluded at the
// same time are far apart in the table. Later runs reuse the space; a SQLite file does not shrink.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	for from := (jobrun.Key{}); ; {
		to, found, err := s.findExpired(ctx, from, before)
		if errors.Is(err, jobrun.ErrNotFound) {
			return removed, nil
		}
		if err == nil && found {
			var n int
			n, err = s.removeExpired(ctx, from, before)
			removed += n
		}
		if err != nil {
			return removed, err
		}
		from = to
	}
}

// expired is a condition in SQL: the run concluded before $5. lapsedSince is null for a lease that
// has not run out.
func (s *Store) expired() string {
	return "(concluded = 1 AND concluded_at < $5 OR concluded = 0 AND " + s.engine.Lease.lapsedSince() + " < $5 AND started_at < $5)"
}

// pageAfter is a table in SQL of the next runs after the key in $1 to $4, and whether they have
// expired.
func (s *Store) pageAfter() string {
	// The limit is not a parameter: PostgreSQL has to know when it plans that these are few.
	return fmt.Sprintf(`WITH page AS MATERIALIZED (SELECT team, project, job, id, %s AS expired FROM %s
		WHERE (team, project, job, id) > ($1, $2, $3, $4) ORDER BY team, project, job, id LIMIT %d)`, s.expired(),
		s.engine.table("runs"), PageSize)
}

// findExpired returns the key of the last run on the page after the key, and whether any on it have
// expired.
// Returns jobrun.ErrNotFound if there are no runs after the key.
func (s *Store) findExpired(
	ctx context.Context, from jobrun.Key, before time.Time,
) (to jobrun.Key, found bool, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	query := s.pageAfter() + ` SELECT team, project, job, id, EXISTS (SELECT 1 FROM page WHERE expired)
		FROM page ORDER BY team DESC, project DESC, job DESC, id DESC LIMIT 1`
	err = s.db.QueryRowContext(ctx, query, from.Team, from.Project, from.Job, from.Run, before.Unix()).
		Scan(&to.Team, &to.Project, &to.Job, &to.Run, &found)
	return to, found, s.classify(ctx, err)
}

// removeExpired deletes the expired runs on the page after the key, and then pauses for as long as
// that took: SQLite does not queue writers, so that others might never have their turn.
func (s *Store) removeExpired(ctx context.Context, from jobrun.Key, before time.Time) (int, error) {
	runs := s.engine.table("runs")
	statement := s.pageAfter() + ", gone AS MATERIALIZED (SELECT " + keyColumns + " FROM " + runs +
		" WHERE (" + keyColumns + ") IN (SELECT " + keyColumns + " FROM page WHERE expired) AND " + s.expired() +
		s.engine.SkipLocked + ") DELETE FROM " + runs + " WHERE (" + keyColumns + ") IN (SELECT " + keyColumns + " FROM gone)"
	begin := time.Now()
	result, err := s.exec(ctx, statement, from.Team, from.Project, from.Job, from.Run, before.Unix())
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	pause(ctx, time.Since(begin))
	return int(n), err
}
