package store

import (
	"context"
	"database/sql"
	_ "embed" // the statement that looks jobs up
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// jobKeyColumns are the primary key of the table jobs.
const jobKeyColumns = "team, project, job"

// ofJob is the condition for the job, or the runs of the job, whose key is in $1 to $3.
const ofJob = " WHERE team = $1 AND project = $2 AND job = $3"

// latestColumns are the columns of the table jobs that repeat the latest run.
var latestColumns = strings.Split("latest_"+strings.Join(columnsOf(fields), " latest_"), " ")

// jobColumns are the columns of the table jobs, in the order of jobTargets.
var jobColumns = slices.Concat([]string{"team", "project", "job", "job_type", "created_at"}, latestColumns, []string{
	"latest_lost", "success_id", "success_started_at", "success_concluded_at", "failure_id", "failure_started_at",
	"failure_concluded_at", "failures", "running", "running_since",
})

// oneJob is a query of the key in $1 to $3.
const oneJob = "SELECT CAST($1 AS text) AS team, CAST($2 AS text) AS project, CAST($3 AS text) AS job"

// jobTargets returns pointers into the state, as database/sql takes them for parameters and for Scan.
func jobTargets(s *jobrun.JobState) []any {
	targets := []any{&s.Team, &s.Project, &s.Job, &s.Type, (*seconds)(&s.CreatedAt)}
	for _, f := range fields {
		targets = append(targets, f.in(&s.Latest.JobRun))
	}
	return append(targets, (*boolean)(&s.Latest.Lost),
		&s.Success.ID, (*seconds)(&s.Success.StartedAt), nullSeconds{&s.Success.ConcludedAt},
		&s.Failure.ID, (*seconds)(&s.Failure.StartedAt), nullSeconds{&s.Failure.ConcludedAt},
		&s.FailuresInARow, &s.Running, nullSeconds{&s.RunningSince})
}

// Job returns the job of the key, whose Run does not matter.
// Returns jobrun.ErrNotFound if the job does not exist.
func (s *Store) Job(ctx context.Context, key jobrun.Key) (*model.JobDetail, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	var state jobrun.JobState
	query := "SELECT " + strings.Join(jobColumns, ", ") + " FROM " + s.engine.table("jobs") + ofJob
	if err := s.queryRow(ctx, query, key.Team, key.Project, key.Job).Scan(jobTargets(&state)...); err != nil {
		return nil, s.classify(ctx, err)
	}
	return state.Detail(), nil
}

// Jobs lists the jobs of the project of the key, by id, and leaves out those whose latest run does
// not match the filter, of which only the statuses count. Each job has its latest run if withRuns is
// true.
// Returns jobrun.ErrNotFound if the project does not exist.
func (s *Store) Jobs(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page, withRuns bool,
) (list jobrun.List[model.Job], err error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return list, err
	}
	defer end()
	columns, statuses := "job, job_type", ""
	if withRuns {
		columns = strings.Join(latestColumns, ", ") + ", " + columns
	}
	if len(filter.Statuses) > 0 {
		statuses = " AND latest_status IN ('" + strings.Join(texts(filter.Statuses), "', '") + "')"
	}
	rows, err := s.query(ctx, "SELECT "+columns+" FROM "+s.engine.table("jobs")+
		" WHERE team = $1 AND project = $2 AND job > $3"+statuses+" ORDER BY job LIMIT $4 OFFSET $5", key.Team, key.Project, page.After, page.Size+1, page.Skip)
	if err != nil {
		return list, s.classify(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var run model.JobRun
		var jobType model.JobType
		if withRuns {
			err = ScanRun(rows, &run, &key.Job, &jobType)
		} else {
			err = rows.Scan(&key.Job, &jobType)
		}
		if err != nil {
			return list, s.classify(ctx, err)
		}
		if len(list.Items) == page.Size {
			list.Next = list.Items[page.Size-1].ID
			break
		}
		job := jobrun.NewJob(key, jobType)
		if withRuns {
			job.LatestRun = &run
		}
		list.Items = append(list.Items, job)
	}
	if err = rows.Err(); err == nil && len(list.Items) == 0 {
		err = s.exists(ctx, "team = $1 AND project = $2", key.Team, key.Project)
	}
	return list, s.classify(ctx, err)
}

func texts[T ~string](values []T) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

// exists returns sql.ErrNoRows unless there is a job for which the condition holds.
func (s *Store) exists(ctx context.Context, condition string, args ...any) error {
	var one int
	return s.queryRow(ctx, "SELECT 1 FROM "+s.engine.table("jobs")+" WHERE "+condition+" LIMIT 1", args...).Scan(&one)
}

// JobStates returns how the jobs of all teams are doing, by team, project and job: the first of them,
// up to that number, and whether there are more. Like lists, it leaves some connections to single
// runs.
func (s *Store) JobStates(ctx context.Context, most int) (states []jobrun.JobState, more bool, err error) {
	ctx, end, err := s.beginList(ctx)
	if err != nil {
		return nil, false, err
	}
	defer end()
	rows, err := s.query(ctx, "SELECT "+strings.Join(jobColumns, ", ")+" FROM "+s.engine.table("jobs")+
		" ORDER BY "+jobKeyColumns+" LIMIT $1", most+1)
	if err != nil {
		return nil, false, s.classify(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if len(states) == most {
			return states, true, nil
		}
		var state jobrun.JobState
		if err := rows.Scan(jobTargets(&state)...); err != nil {
			return nil, false, s.classify(ctx, err)
		}
		states = append(states, state)
	}
	return states, false, s.classify(ctx, rows.Err())
}

// jobsInTx are the jobs that a transaction has locked.
type jobsInTx struct {
	store   *Store
	tx      *sql.Tx
	states  map[jobrun.Key]*jobrun.JobState
	unknown map[jobrun.Key]bool // the jobs whose states have to be looked up
}

// lock returns the state of the job of the record, which no other process changes before the
// transaction ends. If there is no such job, it stores a row that holds its place.
func (j *jobsInTx) lock(ctx context.Context, of jobrun.Record) (*jobrun.JobState, error) {
	key := jobrun.Key{Team: of.Team, Project: of.Project, Job: of.Job}
	if state := j.states[key]; state != nil {
		return state, nil
	}
	s := j.store
	state := &jobrun.JobState{}
	query := "SELECT " + strings.Join(jobColumns, ", ") + " FROM " + s.engine.table("jobs") + ofJob + s.engine.LockRow
	err := s.queryRowIn(ctx, j.tx, query, of.Team, of.Project, of.Job).Scan(jobTargets(state)...)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := s.execIn(ctx, j.tx, "INSERT INTO "+s.engine.table("jobs")+" ("+jobKeyColumns+") VALUES ($1, $2, $3)"+
			" ON CONFLICT DO NOTHING", of.Team, of.Project, of.Job); err != nil {
			return nil, err
		}
		err = s.queryRowIn(ctx, j.tx, query, of.Team, of.Project, of.Job).Scan(jobTargets(state)...)
	}
	j.states[key] = state
	return state, err
}

// change updates the state of the job with the change of a run, which is stored already.
func (j *jobsInTx) change(ctx context.Context, c *change) error {
	state, err := j.lock(ctx, c.after.Record)
	if err != nil {
		return err
	}
	if c.after.JobType != "" {
		state.Type = c.after.JobType
	}
	if !state.Change(c.before.state(), c.after.state(), time.Now()) {
		j.unknown[jobrun.Key{Team: state.Team, Project: state.Project, Job: state.Job}] = true
	}
	return nil
}

// write stores the states, and looks those up that are not known. It removes a row that holds the
// place of a job without runs.
func (j *jobsInTx) write(ctx context.Context) error {
	s, table := j.store, j.store.engine.table("jobs")
	sets := make([]string, len(jobColumns)-3)
	for i, column := range jobColumns[3:] {
		sets[i] = fmt.Sprintf("%s = $%d", column, i+4)
	}
	for key, state := range j.states {
		args := jobTargets(state)
		if state.Latest.ID == "" {
			if _, err := s.execIn(ctx, j.tx, "DELETE FROM "+table+ofJob, args[:3]...); err != nil {
				return err
			}
			continue
		}
		if _, err := s.execIn(ctx, j.tx, "UPDATE "+table+" SET "+strings.Join(sets, ", ")+ofJob, args...); err != nil {
			return err
		}
		if j.unknown[key] {
			if _, err := j.tx.ExecContext(ctx, s.engine.lookUpJobs(oneJob, true), args[:3]...); err != nil {
				return err
			}
		}
	}
	return nil
}

//go:embed jobs.sql
var lookUp string

// lookUpJobs returns a statement that sets the states of jobs from their runs. jobs is a query of
// their keys. If keep is true, it keeps a run that started at the same time as the run that it finds,
// and the failures in a row unless there is another latest success: some of the failed runs may have
// been pruned.
func (e Engine) lookUpJobs(jobs string, keep bool) string {
	var sets []string
	for _, column := range jobColumns[5:] {
		value := "excluded." + column
		kind, _, _ := strings.Cut(column, "_")
		if kind == "failures" {
			kind = "success"
		}
		if keep && kind != "running" {
			value = fmt.Sprintf("CASE WHEN jobs.%[1]s_started_at = excluded.%[1]s_started_at AND"+
				" (jobs.%[1]s_id <> '' OR excluded.%[1]s_id = '') THEN jobs.%[2]s ELSE excluded.%[2]s END", kind, column)
		}
		sets = append(sets, column+" = "+value)
	}
	return strings.NewReplacer("{jobs}", e.table("jobs"), "{runs}", e.table("runs"), "{set}", jobs,
		"{latest}", strings.Join(latestColumns, ", "), "{l}", "l."+strings.Join(columnsOf(fields), ", l."),
		"{sets}", strings.Join(sets, ", "), "{of_job}", "r.team = j.team AND r.project = j.project AND r.job = j.job",
		"{now}", strconv.FormatInt(time.Now().Unix(), 10)).Replace(lookUp)
}
