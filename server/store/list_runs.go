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

// scanLimit bounds how many runs or jobs a list with a filter looks at. Where it has not found
// enough among them, it is a short one that can be continued.
const scanLimit = 1000

// limits are how many runs of a status a query of a list may find. They are few, so that there are
// few queries to prepare; they are no parameters, because PostgreSQL has to know when it plans.
var limits = []int{51, jobrun.MaxPageSize + 1, jobrun.MaxPageSkip + jobrun.MaxPageSize + 1}

// JobRuns lists runs of the job of the key, whose Run does not matter: the one that started last
// comes first, those that started at the same time by id.
//
// The index has the runs of each status in that order. To look up what is in a page costs the same
// anywhere in the list. Whether a run that is stored as running has failed since, because its
// recorder has died, no index knows: a list that asks for only one of the two looks at up to
// scanLimit of them.
// Returns jobrun.ErrNotFound if the job has no runs at all.
func (s *Store) JobRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.JobRun], error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return jobrun.List[model.JobRun]{}, err
	}
	defer end()
	q := newRunsQuery(key, filter, page)
	var list jobrun.List[model.JobRun]
	for dead := (deadRecorders{}); ; {
		var ended []string
		if list, ended, err = s.readJobRuns(ctx, q, filter, page); err != nil || !dead.more(ended) {
			break
		}
	}
	if err == nil && len(list.Items) == 0 && list.Next == "" {
		err = s.exists(ctx, "team = $1 AND project = $2 AND job = $3", key.Team, key.Project, key.Job)
	}
	return list, s.classify(ctx, err)
}

func (s *Store) readJobRuns(
	ctx context.Context, q runsQuery, filter jobrun.Filter, page jobrun.Page,
) (list jobrun.List[model.JobRun], ended []string, err error) {
	rows, err := s.query(ctx, q.text(s.engine), q.args...)
	if err != nil {
		return list, nil, err
	}
	defer rows.Close()
	skip, looked, last := q.skip, 0, ""
	for rows.Next() {
		var r jobrun.Record
		var stored model.JobRunStatus
		final, err := ScanRun(rows, &r, &stored)
		if err != nil {
			return list, nil, err
		}
		if !final && r.Run.Concluded {
			ended = append(ended, r.Run.ID)
		}
		if stored == model.JobRunStatusRunning {
			looked++
		}
		switch matches := filter.Matches(r.Run.Status); {
		case matches && skip > 0:
			skip--
		case matches && len(list.Items) == page.Size:
			list.Next = last
			return list, ended, nil
		case matches:
			list.Items = append(list.Items, r.Run)
		}
		last = strconv.FormatInt(r.Run.StartedAt.Unix(), 10) + "." + r.Run.ID
		if q.looks && looked == scanLimit {
			list.Next = last // there may be more
			return list, ended, nil
		}
	}
	return list, ended, rows.Err()
}

// deadRecorders are the runs whose recorders had ended when a list was read.
type deadRecorders map[string]bool

// more adds runs, and reports whether any of them is new: then the list has to be read again. Their
// recorders may have concluded them before they ended, and after the query began to read. A query
// that begins now finds that.
func (d deadRecorders) more(runs []string) bool {
	before := len(d)
	for _, run := range runs {
		d[run] = true
	}
	return len(d) > before
}

// runsQuery is a query of a list of runs.
type runsQuery struct {
	statuses  []model.JobRunStatus // as they are stored
	looks     bool                 // whether only some of those that are stored as running match
	continued bool                 // whether there are runs before
	limit     int                  // how many runs of each status to find
	skip      int                  // how many matching runs to leave out that the query finds
	args      []any
}

func newRunsQuery(key jobrun.Key, filter jobrun.Filter, page jobrun.Page) runsQuery {
	running, failed := filter.Matches(model.JobRunStatusRunning), filter.Matches(model.JobRunStatusFailed)
	q := runsQuery{looks: running != failed}
	for _, status := range []model.JobRunStatus{
		model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed,
	} {
		if filter.Matches(status) || status == model.JobRunStatusRunning && failed {
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
	if q.looks {
		q.skip = page.Skip
	} else {
		q.args = append(q.args, page.Skip)
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
	runs := e.table("runs")
	for _, status := range q.statuses {
		limit := q.limit
		if q.looks && status == model.JobRunStatusRunning {
			limit = max(limit, scanLimit)
		}
		conditions := []string{"started_at >= $4 AND started_at < $5"}
		if q.continued {
			conditions = append(conditions, "started_at = $6 AND id > $7")
		}
		for _, condition := range conditions {
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT started_at AS at, id AS listed FROM %s
				WHERE team = $1 AND project = $2 AND job = $3 AND status = '%s' AND %s
				ORDER BY started_at DESC, id LIMIT %d) AS part`, runs, status, condition, limit))
		}
	}
	part := fmt.Sprintf("LIMIT %d OFFSET $%d", min(q.limit, limits[1]), len(q.args))
	if q.looks {
		part = fmt.Sprintf("LIMIT %d", q.limit+scanLimit)
	}
	return fmt.Sprintf(`SELECT %s, status FROM (SELECT * FROM (%s) AS parts ORDER BY at DESC, listed %s) AS page
		CROSS JOIN %s WHERE team = $1 AND project = $2 AND job = $3 AND id = listed ORDER BY at DESC, listed`,
		e.runColumns(), strings.Join(parts, " UNION ALL "), part, runs)
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
