package jobrun

import (
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// JobState is how a job does, as far as its runs in the store tell. Times are in UTC.
type JobState struct {
	Team, Project, Job string
	// Status and StartedAt are those of the run that started last. RecorderLost says that this run
	// has failed because its recorder has died.
	Status       model.JobRunStatus
	StartedAt    time.Time
	RecorderLost bool
	// LastSuccess and LastFailure say when the run concluded that started last among those that
	// succeeded, or failed; nil if none has.
	LastSuccess, LastFailure *time.Time
	// LastDuration is how long the run took that started last among those that have concluded; nil
	// if none has.
	LastDuration *time.Duration
	// Running is how many runs have not concluded, and RunningSince when the first of them started,
	// or nil. A store may look at no more than the hundred that started last.
	Running      int
	RunningSince *time.Time
}
