package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	// statesAtOnce is how many jobs one query of JobStates looks at: few enough that it returns its
	// connection after some tens of milliseconds.
	statesAtOnce = 500
	// runningLimit is how many runs of a job that are stored as running JobStates looks at.
	runningLimit = 100
)

// JobStates returns how the jobs of all teams do, by team, project and job: the first of them, up to
// that number, and whether there are more. It looks up each job with a few steps into the index,
// whatever number of runs there is, and at up to runningLimit of its runs that have not concluded.
// Like lists, it leaves some connections to single runs.
func (s *Store) JobStates(ctx context.Context, most int) (states []jobrun.JobState, more bool, err error) {
	var last jobrun.JobState
	for {
		page, err := s.jobStatesAfter(ctx, last, min(statesAtOnce, most-len(states)+1))
		if err != nil {
			return nil, false, err
		}
		states = append(states, page...)
		if len(states) > most {
			return states[:most], true, nil
		}
		if len(page) < statesAtOnce {
			return states, false, nil
		}
		last = page[len(page)-1]
	}
}

// jobStatesAfter returns the states of the first jobs after one.
func (s *Store) jobStatesAfter(ctx context.Context, after jobrun.JobState, most int) ([]jobrun.JobState, error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	states, err := s.readJobStates(ctx, after, most)
	return states, s.classify(ctx, err)
}

func (s *Store) readJobStates(ctx context.Context, after jobrun.JobState, most int) ([]jobrun.JobState, error) {
	rows, err := s.query(ctx, s.engine.jobStatesQuery(), after.Team, after.Project, after.Job, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	builders := make([]stateBuilder, 0, most)
	for rows.Next() {
		var n int
		var team, project, job string
		var run stateRun
		if err := rows.Scan(
			&n, &team, &project, &job,
			&run.id, &run.status, (*seconds)(&run.startedAt), nullSeconds{&run.concludedAt}, (*boolean)(&run.lost),
		); err != nil {
			return nil, err
		}
		for len(builders) < n { // the rows of a job need not be together
			builders = append(builders, stateBuilder{})
		}
		b := &builders[n-1]
		b.state.Team, b.state.Project, b.state.Job = team, project, job
		b.add(run)
	}
	var states []jobrun.JobState
	for _, b := range builders {
		if b.latest.id != "" { // else its runs were removed during the query
			states = append(states, b.state)
		}
	}
	return states, rows.Err()
}

// stateRun is what a job's state follows from, of one run.
type stateRun struct {
	id          string
	status      model.JobRunStatus
	startedAt   time.Time
	concludedAt *time.Time
	lost        bool // whether a server has concluded the run
}

// startedAfter reports whether the run comes before the other in a list of runs.
func (r stateRun) startedAfter(other stateRun) bool {
	if !r.startedAt.Equal(other.startedAt) {
		return r.startedAt.After(other.startedAt)
	}
	return r.id < other.id
}

// stateBuilder puts the state of a job together. Each run that it remembers is the one that started
// last of its kind; its id is empty before there is one.
type stateBuilder struct {
	state                     jobrun.JobState
	latest, concluded, failed stateRun
}

// add adds a run: the one that started last among those that succeeded, or failed, or one of those
// that are stored as running.
func (b *stateBuilder) add(run stateRun) {
	if run.replaces(&b.latest) {
		b.state.Status, b.state.StartedAt, b.state.RecorderLost = run.status, run.startedAt, run.lost
	}
	switch run.status {
	case model.JobRunStatusRunning:
		b.state.Running++
		if since := b.state.RunningSince; since == nil || run.startedAt.Before(*since) {
			b.state.RunningSince = &run.startedAt
		}
	case model.JobRunStatusSuccess:
		b.state.LastSuccess = run.concludedAt // there is only one
	case model.JobRunStatusFailed:
		if run.replaces(&b.failed) {
			b.state.LastFailure = run.concludedAt
		}
	}
	if run.concludedAt != nil && run.replaces(&b.concluded) {
		took := run.concludedAt.Sub(run.startedAt)
		b.state.LastDuration = &took
	}
}

// replaces replaces a run by this one if this one started later, and reports whether it does.
func (r stateRun) replaces(other *stateRun) bool {
	if other.id != "" && !r.startedAfter(*other) {
		return false
	}
	*other = r
	return true
}

// jobStatesQuery returns the query of jobStatesAfter: for each of the first jobs after one, its number
// and key, and its runs that stateBuilder.add takes, in no order.
func (e Engine) jobStatesQuery() string {
	if e.Lateral {
		return e.lateralStatesQuery()
	}
	runs := e.table("runs")
	next := func(column, after, of string) string {
		return "(SELECT " + column + " FROM " + runs + " WHERE " + of + column + " > " + after +
			" ORDER BY " + column + " LIMIT 1)"
	}
	// Each row leads to the next job of its project; after the last one to null, and from there to the
	// next project, before its first job; likewise from project to team. Only a job has a row in runs,
	// and only it counts. SQLite compares one column with the index, and several row by row: it would
	// read all runs of a job to find the next.
	names := "WITH RECURSIVE names(t, p, j, n) AS (SELECT $1, nullif($2, ''), nullif($3, ''), $3 = '' UNION ALL SELECT " +
		"CASE WHEN p IS NULL THEN " + next("team", "t", "") + " ELSE t END, " +
		"CASE WHEN p IS NULL THEN '' WHEN j IS NULL THEN " + next("project", "p", "team = t AND ") + " ELSE p END, " +
		"CASE WHEN p IS NULL THEN NULL WHEN j IS NULL THEN '' ELSE " + next("job", "j", "team = t AND project = p AND ") +
		" END, n + coalesce(j > '', 0) FROM names WHERE t IS NOT NULL AND n + coalesce(j > '', 0) <= $4) "
	part := func(status model.JobRunStatus, limit int) string { return e.statePart("id", status, limit) }
	return names + "SELECT n, t, p, j, " + stateColumns() + " FROM names CROSS JOIN " + runs + ofJob +
		" AND n > 0 AND id IN (" + stateParts(part) + ")"
}

// lateralStatesQuery does with one step into an index for each kind of runs what takes several where
// a subquery has only one column.
func (e Engine) lateralStatesQuery() string {
	runs := e.table("runs")
	next := func(number, after string) string {
		return "SELECT team AS t, project AS p, job AS j, " + number + " AS n FROM " + runs +
			" WHERE (team, project, job) > (" + after + ") ORDER BY team, project, job LIMIT 1"
	}
	part := func(status model.JobRunStatus, limit int) string {
		return e.statePart(stateColumns(), status, limit)
	}
	return "WITH RECURSIVE names(t, p, j, n) AS ((" + next("1", "$1, $2, $3") + ") UNION ALL SELECT next.* FROM names " +
		"CROSS JOIN LATERAL (" + next("names.n + 1", "names.t, names.p, names.j") + ") AS next WHERE names.n < $4) " +
		"SELECT n, t, p, j, part.* FROM names CROSS JOIN LATERAL (" + stateParts(part) + ") AS part"
}

// ofJob is the condition that a run is one of the job.
const ofJob = " WHERE team = t AND project = p AND job = j"

// stateParts returns the union of queries for the runs that stateBuilder.add takes. Each query is for
// those that started last, up to a number.
func stateParts(part func(status model.JobRunStatus, limit int) string) string {
	return part(model.JobRunStatusSuccess, 1) + " UNION ALL " + part(model.JobRunStatusFailed, 1) +
		" UNION ALL " + part(model.JobRunStatusRunning, runningLimit)
}

// statePart returns one of the queries of stateParts.
func (e Engine) statePart(columns string, status model.JobRunStatus, limit int) string {
	const query = "SELECT * FROM (SELECT %s FROM %s%s AND status = '%s' ORDER BY started_at DESC, id LIMIT %d) AS part"
	return fmt.Sprintf(query, columns, e.table("runs"), ofJob, status, limit)
}

// stateColumns are the columns of stateRun.
func stateColumns() string {
	return "id, status, started_at, concluded_at, CASE WHEN concluded = 1 AND lost_at IS NOT NULL THEN 1 ELSE 0 END AS lost"
}
