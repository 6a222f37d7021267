// Package jobrun is the domain: a run of a job, its key, what a recorder writes of it, how it
// concludes, and the errors that all layers share. The run itself is the contract's,
// gen/model.JobRun.
package jobrun

import (
	"errors"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// The errors of a store that its callers have to tell from others.
var (
	// ErrNotFound means that what was asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable means that the store cannot be reached now. Trying again may help.
	ErrUnavailable = errors.New("the store cannot be reached")
	// ErrTimeout means that the store was reached, but did not answer in time. errors.Is
	// finds ErrUnavailable in it too, because trying again may help after both.
	ErrTimeout error = timeoutError{}
	// ErrOutdated means that a newer version of this program has upgraded the database, and this one
	// must no longer use it. errors.Is finds ErrUnavailable in it too.
	ErrOutdated error = outdatedError{}
	// ErrInvalid means that a record breaks a rule of the contract, so that no store ever takes it.
	ErrInvalid = errors.New("the contract does not allow this value")
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "the store did not answer in time" }
func (timeoutError) Is(target error) bool { return target == ErrUnavailable }

type outdatedError struct{}

func (outdatedError) Error() string {
	return "a newer server has upgraded the store: use the new version here too"
}
func (outdatedError) Is(target error) bool { return target == ErrUnavailable }

// DefaultTeam is the team if nobody names one.
const DefaultTeam = "default"

// Key identifies a run, as the paths of the contract do. All four parts have the form of the
// contract's ID.
type Key struct {
	Team, Project, Job, Run string
}

// Record is a run and its team, project and job: what a recorder writes.
type Record struct {
	Team, Project, Job string
	Run                model.JobRun
	// Source names where the run was observed, such as a cluster, and Version orders what was
	// observed there: a later observation has a higher one. A store lets no observation replace a
	// later one, nor an observation of a running run replace a conclusion. Source is "" for a
	// recorder that knows the run for certain, which is always stored.
	Source  string
	Version int64
	// Outcome says why the run ended as it did, and which attempts have ended; nil if the recorder
	// does not know. Its Reason and Message are nil until the run has concluded. What it points to
	// does not change.
	Outcome *model.JobRunOutcome
	// HeartbeatTimeout is the number of seconds within which the recorder sends its next report; 0 for
	// a run that is never lost.
	HeartbeatTimeout int
	// JobType is the type of the job; "" if the recorder does not know it. No run stores it, but the job.
	JobType model.JobType
	// Log holds the last lines that the command printed; nil if the recorder did not keep them.
	Log []model.LogLine
}

// Key returns the key of the record's run.
func (r Record) Key() Key {
	return Key{Team: r.Team, Project: r.Project, Job: r.Job, Run: r.Run.ID}
}

// Conclude makes the record's run one that concluded at that time, in UTC and whole seconds, or
// when it started if that is later, and its outcome one that ended so. It sets the fields that
// follow from it: a run that has concluded is not active, and has either succeeded or failed.
func (r *Record) Conclude(at time.Time, succeeded bool, end End) {
	r.setEnd(end)
	run := &r.Run
	at = at.UTC().Truncate(time.Second)
	if at.Before(run.StartedAt) {
		at = run.StartedAt
	}
	run.Active, run.Concluded, run.ConcludedAt = model.FlagNo, true, &at
	if succeeded {
		run.Status, run.Succeeded, run.Failed = model.JobRunStatusSuccess, model.FlagYes, model.FlagNo
	} else {
		run.Status, run.Succeeded, run.Failed = model.JobRunStatusFailed, model.FlagNo, model.FlagYes
	}
}

// Line is a line of JSON that jobrund import reads. A missing team is DefaultTeam.
type Line struct {
	TeamID    string               `json:"teamId"`
	ProjectID string               `json:"projectId"`
	JobID     string               `json:"jobId"`
	Run       model.JobRun         `json:"run"`
	Outcome   *model.JobRunOutcome `json:"outcome,omitempty"`
}
