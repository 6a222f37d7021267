package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// JobRun is a run of a job, with the fields of the contract. Its ConcludedAt is nil until the run
// has concluded, and its StartedAt is zero, where the server sends null, "" or nothing.
type JobRun = model.JobRun

// JobRunOutcome explains why a run ended as it did. Its Reason and Message are nil until the run
// has concluded.
type JobRunOutcome = model.JobRunOutcome

// JobRunAttempt is an attempt of a run, which has ended.
type JobRunAttempt = model.JobRunAttempt

// JobRunReport is what a recorder reports about a run. The server keeps the recorded value of a
// field that is nil. Times are in UTC and whole seconds.
type JobRunReport = model.JobRunReport

// JobRunConclusion says how a run ended.
type JobRunConclusion = model.JobRunConclusion

// JobRunAttemptReport is an attempt of a run, which has ended.
type JobRunAttemptReport = model.JobRunAttemptReport

// LogLine is a line that a command printed, with its time in UTC.
type LogLine = model.LogLine

// JobLogLine is a line of the log of a run, with its time in UTC and the container, for jobrund the
// host, that printed it.
type JobLogLine = model.JobLogLine

// LogDirection is the order of the lines of a log.
type LogDirection = model.LogDirection

// The orders of a log.
const (
	LogDirectionForward  = model.LogDirectionForward  // the oldest line first
	LogDirectionBackward = model.LogDirectionBackward // the latest line first
)

// Job is a job of a project. Its LatestRun is nil if the server does not send it.
type Job = model.Job

// JobDetail is a job and its state.
type JobDetail = model.JobDetail

// JobState is how a job is doing. LatestSuccess is nil if no run has succeeded, and LatestFailure is
// nil if no run has failed.
type JobState = model.JobState

// ConcludedRun is a run that has concluded, in short.
type ConcludedRun = model.ConcludedRun

// ProjectRun is a run of a project, with its job and the reason of its end. Its Reason and Message
// are nil until the run has concluded, its Host if the host is not known.
type ProjectRun = model.ProjectRun

// JobType says whether a CronJob of Kubernetes starts the runs of a job.
type JobType = model.JobType

// The types of a job.
const (
	JobTypeManual = model.JobTypeManual
	JobTypeCron   = model.JobTypeCron
)

// Project is a project of a team.
type Project = model.Project

// JobRunStatus is the status of a run.
type JobRunStatus = model.JobRunStatus

// The statuses of a run.
const (
	JobRunStatusSuccess = model.JobRunStatusSuccess
	JobRunStatusRunning = model.JobRunStatusRunning
	JobRunStatusFailed  = model.JobRunStatusFailed
)

// Flag is the contract's form of a boolean in some fields.
type Flag = model.Flag

// The values of a flag.
const (
	FlagNo  = model.FlagNo
	FlagYes = model.FlagYes
)

// ProjectRef identifies a project.
type ProjectRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
}

// JobRef identifies a job.
type JobRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
	Job     string // ID of the job
}

// RunRef identifies a run.
type RunRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
	Job     string // ID of the job
	Run     string // ID of the job run
}

func (r RunRef) check() error {
	return checkIDs("RunRef.", "Team", r.Team, "Project", r.Project, "Job", r.Job, "Run", r.Run)
}

// checkIDs rejects IDs that would make the path of another operation. Each follows its name. Only
// the team may be empty.
func checkIDs(prefix string, ids ...string) error {
	for pair := range slices.Chunk(ids, 2) {
		switch name, id := pair[0], pair[1]; {
		case id == "" && name != "Team":
			return fmt.Errorf("%s%s is empty", prefix, name)
		case id == "." || id == "..":
			return fmt.Errorf("%s%s is %q, which is no ID", prefix, name, id)
		}
	}
	return nil
}

// ListOptions selects a page of a list. The zero value is the first page.
type ListOptions struct {
	PerPage int    // results in a page, 1 to 100; 0 for the server's choice, for iterators 100
	Page    int    // number of the page, from 1; 0 for the first. Far pages need a Cursor
	Cursor  string // of the previous page; Page is then ignored
}

// ListJobsOptions selects jobs. The zero value selects all of them. The Northflank API knows neither
// Statuses nor LatestRun: it sends all jobs, and no runs.
type ListJobsOptions struct {
	ListOptions
	Statuses  []JobRunStatus // of the latest run; empty for any
	LatestRun bool           // whether each job has its latest run
}

// ListJobRunsOptions selects runs. The zero value selects all of them. The Northflank API sends the
// other runs too, and the client leaves them out.
type ListJobRunsOptions struct {
	ListOptions
	Statuses []JobRunStatus // empty for any
	Since    time.Time      // the earliest start; zero for any
	Until    time.Time      // the first start that is too late; zero for any
}

// ListProjectRunsOptions selects runs of a project. The zero value selects all of them.
type ListProjectRunsOptions struct {
	ListOptions
	Job      string         // ID of the job; empty for all jobs
	Statuses []JobRunStatus // empty for any
	Since    time.Time      // the earliest start; zero for any
	Until    time.Time      // the first start that is too late; zero for any
}

// JobLogsOptions selects lines of a log. The zero value selects all lines of the latest run.
type JobLogsOptions struct {
	Run       string       // ID of the job run; empty for the run that started last
	LineLimit int          // maximum number of lines, the first in the Direction; 0 for the server's maximum
	Direction LogDirection // empty for LogDirectionForward
}

// match reports whether the options select a run.
func (o *ListJobRunsOptions) match(run *JobRun) bool {
	return (len(o.Statuses) == 0 || slices.Contains(o.Statuses, run.Status)) && !run.StartedAt.Before(o.Since) &&
		(o.Until.IsZero() || run.StartedAt.Before(o.Until))
}

// Page is a page of a list. It may have fewer results than PerPage, even none, and not be the last.
type Page[T any] struct {
	Items   []T
	Raw     []json.RawMessage // the Items as the server sent them, with fields that T lacks
	HasNext bool              // whether there may be more results
	Cursor  string            // for the ListOptions of the next page; empty on the last one, and if it leads backwards
}

// keep leaves out the items that do not match.
func (p *Page[T]) keep(match func(*T) bool) {
	n := 0
	for i := range p.Items {
		if match(&p.Items[i]) {
			p.Items[n], p.Raw[n] = p.Items[i], p.Raw[i]
			n++
		}
	}
	p.Items, p.Raw = p.Items[:n], p.Raw[:n]
}

// Response is a response of the server.
type Response struct {
	// Response is the raw response. The client has read its body; callers can read it once more and
	// need not close it. An empty startedAt or concludedAt of a 200 is null in it.
	*http.Response

	// RequestID is the server's name for the request (X-Request-Id), which its log contains; empty
	// if it sends none.
	RequestID string

	// RateLimit is the zero value if the server sends none.
	RateLimit RateLimit
}

// RateLimit is the number of requests that the token can still make in the current window.
type RateLimit struct {
	Limit     int           // requests in a window (x-ratelimit-limit)
	Remaining int           // of them, left (x-ratelimit-remaining)
	Reset     time.Duration // whole seconds from the response to the window's end (x-ratelimit-reset)
}

// newRateLimit ignores numbers that it cannot read.
func newRateLimit(h http.Header) (r RateLimit) {
	r.Limit, _ = strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	r.Remaining, _ = strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	r.Reset, _ = parseSeconds(h.Get("X-Ratelimit-Reset"))
	return r
}
