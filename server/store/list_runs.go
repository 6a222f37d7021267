package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// scanLimit bounds how many jobs a list with a filter looks at. A list that has not found enough jobs
// among them is short, and has a cursor.
const scanLimit = 1000

// limits are how many runs of a status a query of a list may find. They are few, so that there are
// few queries to prepare; they are no parameters, because PostgreSQL has to know when it plans.
var limits = []int{51, jobrun.MaxPageSize + 1, jobrun.MaxPageSkip + jobrun.MaxPageSize + 1}

// JobRuns lists runs of the job of the key, whose Run does not matter: the one that started last
// comes first, those that started at the same time by id.
//
// The index has the runs of each status in that order. A page costs the same anywhere in the list.
// Returns jobrun.ErrNotFound if the job has no runs at all.
func (s *Store) JobRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.JobRun], error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return jobrun.List[model.JobRun]{}, err
	}
	defer end()
	list, err := s.readJobRuns(ctx, newRunsQuery(key, filter, page), page.Size)
	if err == nil && len(list.Items) == 0 {
		err = s.exists(ctx, "team = $1 AND project = $2 AND job = $3", key.Team, key.Project, key.Job)
	}
	return list, s.classify(ctx, err)
}

func (s *Store) readJobRuns(ctx context.Context, q runsQuery, size int) (list jobrun.List[model.JobRun], err error) {
	rows, err := s.query(ctx, q.text(s.engine), q.args...)
	if err != nil {
		return list, err
	}
	defer rows.Close()
	for rows.Next() {
		var run model.JobRun
		if err := ScanRun(rows, &run); err != nil {
			return list, err
		}
		if len(list.Items) == size {
			last := list.Items[size-1]
			list.Next = strconv.FormatInt(last.StartedAt.Unix(), 10) + "." + last.ID
			break
		}
		list.Items = append(list.Items, run)
	}
	return list, rows.Err()
}

// runsQuery is a query of a list of runs.
type runsQuery struct {
	statuses  []model.JobRunStatus
	continued bool // whether there are runs before
	limit     int  // how many runs of each status to find
	args      []any
}

func newRunsQuery(key jobrun.Key, filter jobrun.Filter, page jobrun.Page) runsQuery {
	var q runsQuery
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
	q.args = []any{key.Team, key.Project, key.Job, since, until}
	at, id, _ := strings.Cut(page.After, ".")
	if started, err := strconv.ParseInt(at, 10, 64); err == nil && started < until {
		q.args[4] = started
		if q.continued = started >= since; q.continued {
			q.args = append(q.args, started, id)
		}
	}
	q.args = append(q.args, page.Skip)
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
	runs := e.table("runs")
	for _, status := range q.statuses {
		conditions := []string{"started_at >= $4 AND started_at < $5"}
		if q.continued {
			conditions = append(conditions, "started_at = $6 AND id > $7")
		}
		for _, condition := range conditions {
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT started_at AS at, id AS listed FROM %s
				WHERE team = $1 AND project = $2 AND job = $3 AND status = '%s' AND %s
				ORDER BY started_at DESC, id LIMIT %d) AS part`, runs, status, condition, q.limit))
		}
	}
	part := fmt.Sprintf("LIMIT %d OFFSET $%d", min(q.limit, limits[1]), len(q.args))
	return fmt.Sprintf(`SELECT %s FROM (SELECT * FROM (%s) AS parts ORDER BY at DESC, listed %s) AS page
		CROSS JOIN %s WHERE team = $1 AND project = $2 AND job = $3 AND id = listed ORDER BY at DESC, listed`,
		fieldColumns, strings.Join(parts, " UNION ALL "), part, runs)
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

// exists returns sql.ErrNoRows unless there is a run for which the condition holds.
func (s *Store) exists(ctx context.Context, condition string, args ...any) error {
	var one int
	return s.queryRow(ctx, "SELECT 1 FROM "+s.engine.table("runs")+" WHERE "+condition+" LIMIT 1", args...).Scan(&one)
}
