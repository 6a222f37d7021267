package jobrun

import (
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// JobState is a job and how it is doing. Times are in UTC.
type JobState struct {
	Team, Project, Job string
	Type               model.JobType
	// CreatedAt is when the first recorded run of the job started.
	CreatedAt time.Time
	// Latest is the run that started last. Success and Failure are the runs that started last of those
	// that have succeeded or failed; their ID is "" if there is none.
	Latest, Success, Failure RunState
	// FailuresInARow is how many failed runs started after Success.
	FailuresInARow int
	// Running is how many runs have not concluded. RunningSince is when the first of them started; nil
	// if there is none.
	Running      int
	RunningSince *time.Time
}

// RunState is a run, as far as the state of its job depends on it. Success and Failure of a JobState
// have an ID, StartedAt and ConcludedAt only.
type RunState struct {
	model.JobRun
	// Lost is whether a server has concluded the run, because its recorder has died.
	Lost bool
}

// Change updates the state with a run that has changed, or that is new: before is then the zero
// value. now is the time of the change. It reports false if the state now depends on runs that it
// does not know, because a conclusion was corrected, a start moved, or runs overlap. The caller then
// has to look Latest, Success, Failure and RunningSince up, and to count FailuresInARow again if
// Success has changed.
//
// Of runs that started in the same second, the run that changed last counts as the later one. A run
// that claims to start in the future does not precede a run that is recorded later.
func (s *JobState) Change(before, after RunState, now time.Time) (known bool) {
	isNew, wasOpen, isOpen := before.ID == "", before.open(), after.open()
	usual := isNew || before.StartedAt.Equal(after.StartedAt) && (wasOpen || before.Status == after.Status)
	known = usual
	if s.CreatedAt.IsZero() || after.StartedAt.Before(s.CreatedAt) {
		s.CreatedAt = after.StartedAt
	}
	switch {
	case isOpen && !wasOpen:
		s.Running++
		if s.RunningSince == nil || after.StartedAt.Before(*s.RunningSince) {
			s.RunningSince = &after.StartedAt
		}
	case wasOpen && !isOpen:
		// RunningSince is that of another run now, if there is one.
		known = known && s.Running > 0 && (s.Running == 1 || s.RunningSince == nil || before.StartedAt.After(*s.RunningSince))
		s.Running = max(0, s.Running-1)
		if s.Running == 0 {
			s.RunningSince = nil
		}
	}
	switch wasFailure, isFailure := s.counts(before, now), s.counts(after, now); {
	case isFailure && !wasFailure:
		s.FailuresInARow++
	case wasFailure && !isFailure:
		s.FailuresInARow = max(0, s.FailuresInARow-1)
	}
	if s.Latest.ID == after.ID || isNew && after.startedAfter(s.Latest, now) {
		s.Latest = after
	}
	if s.Success.ID == after.ID { // unless it still is, the caller looks another up
		s.Success = RunState{JobRun: model.JobRun{StartedAt: after.StartedAt}}
	}
	if s.Failure.ID == after.ID {
		s.Failure = RunState{}
	}
	switch {
	case after.Status == model.JobRunStatusFailed && after.startedAfter(s.Failure, now):
		s.Failure = after
	case after.Status == model.JobRunStatusSuccess && s.Success.ID == "" && before.Status == after.Status &&
		before.StartedAt.Equal(after.StartedAt):
		s.Success = after
	case after.Status == model.JobRunStatusSuccess && after.startedAfter(s.Success, now):
		if !usual || s.Failure.StartedAt.After(after.StartedAt) && !s.Failure.StartedAt.After(now) {
			return false
		}
		s.Success, s.FailuresInARow = after, 0
	}
	return known
}

// counts reports whether the run is one of the failures in a row.
func (s *JobState) counts(run RunState, now time.Time) bool {
	return run.Status == model.JobRunStatusFailed && run.startedAfter(s.Success, now) && !run.StartedAt.After(now)
}

func (r RunState) open() bool { return r.ID != "" && r.ConcludedAt == nil }

// startedAfter reports whether the run counts as later than a run that was recorded before.
func (r RunState) startedAfter(other RunState, now time.Time) bool {
	return other.ID == "" || !r.StartedAt.Before(other.StartedAt) || other.StartedAt.After(now)
}

// NewJob returns the job of the key, whose Run does not matter, as lists have it.
func NewJob(key Key, jobType model.JobType) model.Job {
	return model.Job{
		ID: key.Job, ProjectID: key.Project, AppID: "/" + key.Team + "/" + key.Project + "/" + key.Job, Name: key.Job,
		Tags: []string{}, JobType: jobType, DisabledCI: true, DisabledCD: true,
	}
}

// Detail returns the job as getJob has it.
func (s *JobState) Detail() *model.JobDetail {
	job := NewJob(Key{Team: s.Team, Project: s.Project, Job: s.Job}, s.Type)
	return &model.JobDetail{
		ID: job.ID, ProjectID: job.ProjectID, AppID: job.AppID, Name: job.Name, Tags: job.Tags, JobType: job.JobType,
		DisabledCI: job.DisabledCI, DisabledCD: job.DisabledCD, CreatedAt: s.CreatedAt,
		Settings: model.JobSettings{BackoffLimit: s.Latest.BackoffLimit},
		State: model.JobState{
			LatestRun: s.Latest.JobRun, LatestSuccess: s.Success.concluded(), LatestFailure: s.Failure.concluded(),
			FailuresInARow: s.FailuresInARow, Running: s.Running,
		},
	}
}

// concluded returns the run in short, or nil if there is none.
func (r RunState) concluded() *model.ConcludedRun {
	if r.ID == "" || r.ConcludedAt == nil {
		return nil
	}
	return &model.ConcludedRun{ID: r.ID, StartedAt: r.StartedAt, ConcludedAt: *r.ConcludedAt}
}

// NewProjectRun returns a run of a job as the lists of a project have it. The reason, message and host
// are those of its outcome, nil if they are not known.
func NewProjectRun(job string, run model.JobRun, reason, message, host *string) model.ProjectRun {
	if run.Concluded && reason == nil {
		unknown := Unknown()
		reason, message = &unknown.Reason, &unknown.Message
	}
	return model.ProjectRun{
		ID: run.ID, Active: run.Active, BackoffLimit: run.BackoffLimit, Completions: run.Completions,
		Concluded: run.Concluded, Failed: run.Failed, RunName: run.RunName, Status: run.Status,
		Succeeded: run.Succeeded, StartedAt: run.StartedAt, ConcludedAt: run.ConcludedAt,
		JobID: job, Reason: reason, Message: message, Host: host,
	}
}
