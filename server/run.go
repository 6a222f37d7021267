package server

import (
	"context"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Runs is where the handler reads runs from.
type Runs interface {
	// Run returns the run as it was stored, and whether it is final: then it can only be replaced or removed, which
	// Revisions tells of. A run whose recorder has died has concluded, and is not final.
	// Returns ErrNotFound if there is none, or none of that job, project or team.
	// Returns ErrUnavailable if the store cannot be reached.
	Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, final bool, err error)
	// Await returns the run as soon as it has concluded, or else as it is when enough is closed.
	// Returns errors as Run does, and the context's when it ends.
	Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error)
}

// Revisions is where the server finds out whether what does not change by itself has been changed.
type Revisions interface {
	// Revision returns a number that becomes another one whenever a final run or a token is changed or removed: what was
	// read after it was asked for is as it was for as long as it stays the same.
	// Returns ErrUnavailable if the store cannot be reached.
	Revision(ctx context.Context) (int64, error)
}
