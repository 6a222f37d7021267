package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// limits are how many runs of a status a query of a list may find. They are few, so that there are
// few queries to prepare; they are no parameters, because PostgreSQL has to know when it plans.
var limits = []int{51, jobrun.MaxPageSize + 1, jobrun.MaxPageSkip + jobrun.MaxPageSize + 1}

// JobRuns lists runs of the job of the key, whose Run does not matter: the run that started last
// comes first, runs that started at the same time are sorted by id.
//
// The index has the runs of each status in that order. A page costs the same anywhere in the list.
// Returns jobrun.ErrNotFound if the job does not exist.
func (s *Store) JobRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.JobRun], error) {
	at, id, _ := strings.Cut(page.After, ".")
	q := newRunsQuery(key, filter, page, at, key.Job, id)
	return listRuns(ctx, s, q, func(rows *sql.Rows) (run model.JobRun, err error) {
		return run, ScanRun(rows, &run)
	}, func(run *model.JobRun) string {
		return strconv.FormatInt(run.StartedAt.Unix(), 10) + "." + run.ID
	})
}

// ProjectRuns lists runs of the project of the key, or of its job if the key has a job: the run that
// started last comes first, runs that started at the same time are sorted by job and id.
//
// A page costs the same anywhere in the list.
// Returns jobrun.ErrNotFound if the project does not exist.
func (s *Store) ProjectRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.ProjectRun], error) {
	// The cursor is the start, the length of the job's id, the job's id, and the run's id.
	at, rest, _ := strings.Cut(page.After, ".")
	length, ids, _ := strings.Cut(rest, ".")
	n, _ := strconv.Atoi(length)
	n = min(n, len(ids))
	q := newRunsQuery(key, filter, page, at, ids[:n], strings.TrimPrefix(ids[n:], "."))
	q.columns += ", job, outcome"
	return listRuns(ctx, s, q, func(rows *sql.Rows) (model.ProjectRun, error) {
		var run model.JobRun
		var job string
		var text sql.Null[string]
		var outcome struct{ Reason, Message, Host *string } // without attempts, which take longer to decode
		err := ScanRun(rows, &run, &job, &text)
		if err == nil && text.Valid {
			err = json.Unmarshal([]byte(text.V), &outcome)
		}
		return jobrun.NewProjectRun(job, run, outcome.Reason, outcome.Message, outcome.Host), err
	}, func(run *model.ProjectRun) string {
		return fmt.Sprintf("%d.%d.%s.%s", run.StartedAt.Unix(), len(run.JobID), run.JobID, run.ID)
	})
}

// listRuns reads a list of runs. cursor returns what continues the list after a run.
func listRuns[T any](
	ctx context.Context, s *Store, q runsQuery, scan func(*sql.Rows) (T, error), cursor func(*T) string,
) (list jobrun.List[T], err error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return list, err
	}
	defer end()
	defer func() { err = s.classify(ctx, err) }()
	rows, err := s.query(ctx, q.text(s.engine), q.args...)
	if err != nil {
		return list, err
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return list, err
		}
		if len(list.Items) == q.size {
			list.Next = cursor(&list.Items[q.size-1])
			break
		}
		list.Items = append(list.Items, item)
	}
	if err := rows.Err(); err != nil || len(list.Items) > 0 {
		return list, err
	}
	return list, s.exists(ctx, q.of, q.args[:strings.Count(q.of, "$")]...)
}

// runsQuery is a query of a list of runs.
type runsQuery struct {
	columns   string
	of        string // the condition that the runs are of the project or of the job
	statuses  []model.JobRunStatus
	continued bool // whether there are runs before
	size      int  // how many runs the page has at most
	limit     int  // how many runs of each status to find
	args      []any
}

// newRunsQuery returns the query of a page. at, job and id are those of the last run of the page
// before, or "".
func newRunsQuery(key jobrun.Key, filter jobrun.Filter, page jobrun.Page, at, job, id string) runsQuery {
	q := runsQuery{
		columns: fieldColumns, of: "team = $1 AND project = $2", args: []any{key.Team, key.Project}, size: page.Size,
	}
	if key.Job != "" {
		q.of, q.args = q.of+" AND job = $3", append(q.args, key.Job)
	}
	for _, status := range []model.JobRunStatus{
		model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed,
	} {
		if filter.Matches(status) {
			q.statuses = append(q.statuses, status)
		}
	}
	i, _ := slices.BinarySearch(limits, page.Skip+page.Size+1)
	q.limit = limits[i]
	since, until := bound(filter.Since, minTime), bound(filter.Until, maxTime+1)
	started, err := strconv.ParseInt(at, 10, 64)
	if continues := err == nil && started < until; continues {
		until, q.continued = started, started >= since
	}
	q.args = append(q.args, page.Skip, since, until)
	if q.continued {
		q.args = append(q.args, started, job, id)
	}
	return q
}

// The first and the last second of the years that RFC 3339 has, which the tables allow.
const (
	minTime = -62167219200
	maxTime = 253402300799
)

// bound returns the first whole second that is not before the time, or a default for no time.
func bound(t *time.Time, without int64) int64 {
	if t == nil {
		return without
	}
	seconds := t.Unix()
	if t.Nanosecond() > 0 {
		seconds++
	}
	return seconds
}

// text returns the query in SQL. For each status it first finds the keys of enough runs, in the
// index alone.
func (q runsQuery) text(e Engine) string {
	var parts []string
	n := strings.Count(q.of, "$") + 1 // the number of the parameter after the key
	conditions := []string{fmt.Sprintf("started_at >= $%d AND started_at < $%d", n+1, n+2)}
	if q.continued {
		conditions = append(conditions, fmt.Sprintf("started_at = $%d AND (job, id) > ($%d, $%d)", n+3, n+4, n+5))
	}
	for _, status := range q.statuses {
		for _, condition := range conditions {
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT started_at AS at, job AS named, id AS listed FROM %s
				WHERE %s AND status = '%s' AND %s ORDER BY started_at DESC, job, id LIMIT %d) AS part`,
				e.table("runs"), q.of, status, condition, q.limit))
		}
	}
	return fmt.Sprintf(`SELECT %s FROM (SELECT * FROM (%s) AS parts ORDER BY at DESC, named, listed LIMIT %d OFFSET $%d) AS page
		CROSS JOIN %s WHERE team = $1 AND project = $2 AND job = named AND id = listed ORDER BY at DESC, named, listed`,
		q.columns, strings.Join(parts, " UNION ALL "), min(q.limit, limits[1]), n, e.table("runs"))
}

// beginList bounds a list in time, and has it wait while as many lists are read as may be at once:
// some connections always remain for single runs. The function ends the list.
// Returns the context's error, as classify does.
func (s *Store) beginList(ctx context.Context) (context.Context, func(), error) {
	ctx, cancel := limit(ctx)
	select {
	case s.lists <- struct{}{}:
		return ctx, func() { <-s.lists; cancel() }, nil
	case <-ctx.Done():
		defer cancel()
		return nil, nil, s.classify(ctx, ctx.Err())
	}
}
