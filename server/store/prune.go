package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// PageSize is how many runs Prune looks at and deletes with one statement. Other writers of SQLite
// wait meanwhile.
const PageSize = 1000

// deadAtOnce is how many jobs Prune deletes in one transaction.
const deadAtOnce = 100

// Pruning says which runs Prune deletes.
type Pruning struct {
	Before time.Time // runs that concluded before
	// Keep is how many runs of each job stay at least, those that started last. The latest success and
	// the latest failure stay, too.
	Keep int
	// Of narrows the pruning to a project, or to a job, if its Project is not "". Its Run does not matter.
	Of jobrun.Key
}

// Prune deletes runs that have concluded, and returns how many it has deleted, even when it fails. If
// all runs of a job concluded before the time, the job goes with its runs. An open run stays, and so
// does, until the next time, a run that another process of PostgreSQL is writing.
//
// It walks through all runs in the order of their keys, a page at a time, so that others wait for
// no more than a page. An index of conclusions would find old runs sooner. But it makes a SQLite
// file larger by half, and deleting many runs six times slower, because runs that concluded at the
// same time are far apart in the table. Later runs reuse the space; a SQLite file does not shrink.
func (s *Store) Prune(ctx context.Context, p Pruning) (int, error) {
	removed := 0
	for from := p.Of; ; {
		to, found, err := s.findExpired(ctx, from, p)
		if errors.Is(err, jobrun.ErrNotFound) {
			n, err := s.removeDead(ctx, p)
			return removed + n, err
		}
		if err == nil && found {
			var n int
			n, err = s.removeExpired(ctx, from, p)
			removed += n
		}
		if err != nil {
			return removed, err
		}
		from = to
	}
}

// removeDead deletes the jobs all of whose runs concluded before the time, some jobs at a time, and
// returns how many runs it has deleted.
func (s *Store) removeDead(ctx context.Context, p Pruning) (removed int, err error) {
	scope, args := p.scope("jobs", 0)
	query := fmt.Sprintf(`SELECT team, project, job FROM %[1]s AS jobs WHERE running = 0 AND latest_concluded_at < %[2]d%[3]s
		AND NOT EXISTS (SELECT 1 FROM %[4]s AS runs WHERE runs.team = jobs.team AND runs.project = jobs.project
			AND runs.job = jobs.job AND (runs.concluded = 0 OR runs.concluded_at >= %[2]d)) LIMIT %[5]d`,
		s.engine.table("jobs"), p.Before.Unix(), scope, s.engine.table("runs"), deadAtOnce) + s.engine.SkipLocked
	for jobs := deadAtOnce; jobs == deadAtOnce; {
		begin := time.Now()
		n := 0
		jobs, n, err = s.removeSome(ctx, query, args)
		removed += n
		if err != nil {
			return removed, s.classify(ctx, err)
		}
		pause(ctx, time.Since(begin))
	}
	return removed, s.Check()
}

// removeSome deletes the jobs that the query selects and locks, in one transaction, and returns the
// numbers of jobs and of runs.
func (s *Store) removeSome(ctx context.Context, query string, args []any) (jobs, runs int, err error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	tx, err := s.db.BeginTx(ctx, readCommitted)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, 0, err
	}
	var keys [][]any
	for rows.Next() {
		var key jobrun.Key
		if err := rows.Scan(&key.Team, &key.Project, &key.Job); err != nil {
			return 0, 0, err
		}
		keys = append(keys, []any{key.Team, key.Project, key.Job})
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	for _, key := range keys {
		n, err := s.removeLocked(ctx, tx, key)
		if err != nil {
			return 0, 0, err
		}
		runs += n
	}
	return len(keys), runs, tx.Commit()
}

// scope returns a condition in SQL for the runs, or jobs, of Of, and its parameters, which follow
// after others.
func (p Pruning) scope(table string, after int) (condition string, args []any) {
	if p.Of.Project == "" {
		return "", nil
	}
	condition = fmt.Sprintf(" AND %[1]s.team = $%[2]d AND %[1]s.project = $%[3]d", table, after+1, after+2)
	args = []any{p.Of.Team, p.Of.Project}
	if p.Of.Job != "" {
		condition += fmt.Sprintf(" AND %s.job = $%d", table, after+3)
		args = append(args, p.Of.Job)
	}
	return condition, args
}

// page returns a table in SQL of the next runs after a key, and whether they have expired, and its
// parameters.
func (p Pruning) page(e Engine, from jobrun.Key) (string, []any) {
	stays := "runs.id NOT IN (jobs.latest_id, jobs.success_id, jobs.failure_id)"
	if p.Keep > 1 {
		var parts []string
		for _, status := range []model.JobRunStatus{
			model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed,
		} {
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT started_at FROM %s AS r WHERE r.team = runs.team
				AND r.project = runs.project AND r.job = runs.job AND r.status = '%s' ORDER BY started_at DESC LIMIT %d) AS part`,
				e.table("runs"), status, p.Keep))
		}
		stays += fmt.Sprintf(` AND runs.started_at < (SELECT min(started_at) FROM
			(SELECT * FROM (%s) AS parts ORDER BY started_at DESC LIMIT %d) AS kept)`, strings.Join(parts, " UNION ALL "), p.Keep)
	}
	scope, args := p.scope("runs", keyLength)
	// The limit is not a parameter: PostgreSQL has to know when it plans that these are few.
	return fmt.Sprintf(`WITH page AS MATERIALIZED (SELECT runs.team, runs.project, runs.job, runs.id,
			%s AND %s AS expired
		FROM %s AS runs LEFT JOIN %s AS jobs ON jobs.team = runs.team AND jobs.project = runs.project AND jobs.job = runs.job
		WHERE (runs.team, runs.project, runs.job, runs.id) > ($1, $2, $3, $4)%s
		ORDER BY runs.team, runs.project, runs.job, runs.id LIMIT %d)`,
			p.expired(), stays, e.table("runs"), e.table("jobs"), scope, PageSize),
		append([]any{from.Team, from.Project, from.Job, from.Run}, args...)
}

// expired is a condition in SQL: the run concluded before the time.
func (p Pruning) expired() string {
	return "runs.concluded = 1 AND runs.concluded_at < " + strconv.FormatInt(p.Before.Unix(), 10)
}

// findExpired returns the key of the last run on the page after the key, and whether any on it have
// expired.
// Returns jobrun.ErrNotFound if there are no runs after the key.
func (s *Store) findExpired(ctx context.Context, from jobrun.Key, p Pruning) (to jobrun.Key, found bool, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	page, args := p.page(s.engine, from)
	err = s.db.QueryRowContext(ctx, page+` SELECT team, project, job, id, EXISTS (SELECT 1 FROM page WHERE expired)
		FROM page ORDER BY team DESC, project DESC, job DESC, id DESC LIMIT 1`, args...).
		Scan(&to.Team, &to.Project, &to.Job, &to.Run, &found)
	return to, found, s.classify(ctx, err)
}

// removeExpired deletes the expired runs on the page after the key, and then pauses for as long as
// that took: SQLite does not queue writers, so that others might never have their turn.
func (s *Store) removeExpired(ctx context.Context, from jobrun.Key, p Pruning) (int, error) {
	page, args := p.page(s.engine, from)
	statement := page + ", gone AS MATERIALIZED (SELECT " + keyColumns + " FROM " + s.engine.table("runs") + " AS runs" +
		" WHERE (" + keyColumns + ") IN (SELECT " + keyColumns + " FROM page WHERE expired) AND " + p.expired() +
		s.engine.SkipLocked + ") DELETE FROM " + s.engine.table("runs") +
		" WHERE (" + keyColumns + ") IN (SELECT " + keyColumns + " FROM gone)"
	begin := time.Now()
	result, err := s.exec(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	pause(ctx, time.Since(begin))
	return int(n), err
}
