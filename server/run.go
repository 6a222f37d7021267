package server

import (
	"context"

	"github.com/jobruns/jobruns/gen/model"
)

// DefaultTeam is the team where nobody named one.
const DefaultTeam = "default"

// RunKey says which run is meant, as the paths of the contract do. All four parts have the form of the contract's ID.
type RunKey struct {
	Team, Project, Job, Run string
}

// Record is a run and whose it is: what a recorder writes.
type Record struct {
	Team, Project, Job string
	Run                model.JobRun
	// Leased says that the recorder vouches for the run until it has concluded, by storing it again every few seconds.
	// When it stops doing so, it has died, and the run has failed.
	Leased bool
	// Source names where the run was observed, such as a cluster, and Version orders what was observed there: a later
	// observation has a higher one. A store lets no observation take the place of a later one, nor one of a run that goes
	// on the place of a conclusion. Source is "" for a recorder that knows the run for certain, which is always stored.
	Source  string
	Version int64
}

// Runs is where the handler reads runs from.
type Runs interface {
	// Run returns the run as it was stored, and whether it is final: then it can only be replaced or removed, which
	// Revisions tells of. A run whose recorder has died has concluded, and is not final.
	// Returns ErrNotFound if there is none, or none of that job, project or team.
	// Returns ErrUnavailable if the store cannot be reached.
	Run(ctx context.Context, key RunKey) (run *model.JobRun, final bool, err error)
	// Await returns the run as soon as it has concluded, or else as it is when enough is closed.
	// Returns errors as Run does, and the context's when it ends.
	Await(ctx context.Context, key RunKey, enough <-chan struct{}) (*model.JobRun, error)
}

// Revisions is where the server finds out whether what does not change by itself has been changed.
type Revisions interface {
	// Revision returns a number that becomes another one whenever a final run or a token is changed or removed: what was
	// read after it was asked for is as it was for as long as it stays the same.
	// Returns ErrUnavailable if the store cannot be reached.
	Revision(ctx context.Context) (int64, error)
}
