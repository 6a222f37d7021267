package client

import "github.com/jobruns/jobruns/gen/model"

// JobRun is a run of a job, with the fields of the contract.
type JobRun = model.JobRun

// JobRunOutcome says why a run ended as it did. Its Reason and Message are nil while the run goes on.
type JobRunOutcome = model.JobRunOutcome

// JobRunAttempt is an attempt of a run, which has ended.
type JobRunAttempt = model.JobRunAttempt

// JobRunOutput is what the command of a run printed last. Its Output is nil if nobody kept it.
type JobRunOutput = model.JobRunOutput

// Job is a job of a project. Its LatestRun is nil if there is none or the server does not say.
type Job = model.Job

// Project is a project of a team.
type Project = model.Project

// JobRunStatus says how a run is doing.
type JobRunStatus = model.JobRunStatus

// The statuses of a run.
const (
	JobRunStatusSuccess = model.JobRunStatusSuccess
	JobRunStatusRunning = model.JobRunStatusRunning
	JobRunStatusFailed  = model.JobRunStatusFailed
)

// Flag is what the contract has for a boolean in some fields.
type Flag = model.Flag

// The values of a flag.
const (
	FlagNo  = model.FlagNo
	FlagYes = model.FlagYes
)
