package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// prunePage is how many runs are looked at before any of them are removed, at once, while other writers of SQLite wait.
const prunePage = 1000

// Prune removes the runs that concluded before the time, and returns how many it has removed, even when it fails. A run
// whose recorder has died concluded when that was last heard of. A run that goes on stays, and so does, until the next
// time, one that another process of PostgreSQL is writing.
//
// It goes through all runs in the order of their keys, a page at a time, so that others wait for no more than a page. An
// index of conclusions would find the old ones sooner, but makes a SQLite file larger by half and removes many six times
// slower, since neighbours in time are strangers in the table. Later runs take the space; a SQLite file keeps its size.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	for from := (jobrun.Key{}); ; {
		to, found, err := s.findExpired(ctx, from, before)
		if errors.Is(err, sql.ErrNoRows) {
			return removed, nil
		}
		if err == nil && found {
			var n int
			n, err = s.removeExpired(ctx, from, before)
			removed += n
		}
		if err != nil {
			return removed, errors.Join(ctx.Err(), s.classify(err))
		}
		from = to
	}
}

// expired says in SQL which runs concluded before $5. For a lease that has not run out, lapsedSince is null.
func (s *Store) expired() string {
	return "(concluded = 1 AND concluded_at < $5 OR concluded = 0 AND " + s.engine.Lease.lapsedSince() + " < $5 AND started_at < $5)"
}

// pageAfter is a table in SQL of the next runs after the key that $1 to $4 are, and whether they have expired.
func (s *Store) pageAfter() string {
	// The limit is no parameter: PostgreSQL has to know beforehand that these are few.
	return fmt.Sprintf(`WITH page AS MATERIALIZED (SELECT team, project, job, id, %s AS expired FROM runs
		WHERE (team, project, job, id) > ($1, $2, $3, $4) ORDER BY team, project, job, id LIMIT %d)`, s.expired(), prunePage)
}

// findExpired returns the key of the last run on the page after the key, and whether any on it have expired.
// Returns sql.ErrNoRows if there are no runs after the key.
func (s *Store) findExpired(ctx context.Context, from jobrun.Key, before time.Time) (to jobrun.Key, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	query := s.pageAfter() + ` SELECT team, project, job, id, EXISTS (SELECT 1 FROM page WHERE expired)
		FROM page ORDER BY team DESC, project DESC, job DESC, id DESC LIMIT 1`
	err = s.db.QueryRowContext(ctx, query, from.Team, from.Project, from.Job, from.Run, before.Unix()).
		Scan(&to.Team, &to.Project, &to.Job, &to.Run, &found)
	return to, found, err
}

// removeExpired removes those on the page after the key, and then rests for as long as that took: SQLite does not queue
// writers, so that others might never have their turn.
func (s *Store) removeExpired(ctx context.Context, from jobrun.Key, before time.Time) (int, error) {
	const key = "team, project, job, id"
	statement := s.pageAfter() + ", gone AS MATERIALIZED (SELECT " + key + " FROM runs WHERE (" + key + ") IN (SELECT " + key +
		" FROM page WHERE expired) AND " + s.expired() + s.engine.SkipLocked + ") DELETE FROM runs WHERE (" + key + ") IN (SELECT " + key + " FROM gone)"
	begin := time.Now()
	result, err := s.db.ExecContext(ctx, statement, from.Team, from.Project, from.Job, from.Run, before.Unix())
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	pause(ctx, time.Since(begin))
	return int(n), err
}
