package server

import (
	"context"
	"fmt"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
)

var _ gen.StrictServerInterface = (*handler)(nil)

// handler implements the contract's operations. A request reaches it only when its operation's checks have let it
// through.
type handler struct {
	runs Runs
}

// GetJobRun implements getJobRun.
func (h *handler) GetJobRun(ctx context.Context, r gen.GetJobRunRequestObject) (gen.GetJobRunResponseObject, error) {
	details, err := h.details(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
	return gen.GetJobRun200JSONResponse{JobRunDetailsJSONResponse: details}, err
}

// GetTeamJobRun implements getTeamJobRun.
func (h *handler) GetTeamJobRun(ctx context.Context, r gen.GetTeamJobRunRequestObject) (gen.GetTeamJobRunResponseObject, error) {
	details, err := h.details(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
	return gen.GetTeamJobRun200JSONResponse{JobRunDetailsJSONResponse: details}, err
}

func (h *handler) details(ctx context.Context, project, job, run string, prefer *string) (gen.JobRunDetailsJSONResponse, error) {
	key := RunKey{Team: accessOf(ctx).team, Project: project, Job: job, Run: run}
	var details gen.JobRunDetailsJSONResponse
	var err error
	if wait, ok := preferredWait(prefer); ok {
		enough, cancel := untilShutdown(ctx, wait)
		defer cancel()
		details.Body.Data, err = h.runs.Await(ctx, key, enough)
		applied := fmt.Sprintf("wait=%d", int(wait.Seconds()))
		details.Headers.PreferenceApplied = &applied
	} else {
		details.Body.Data, err = h.runs.Run(ctx, key)
	}
	return details, err
}

// Login implements login: whoever comes this far has a valid token.
func (h *handler) Login(context.Context, gen.LoginRequestObject) (gen.LoginResponseObject, error) {
	return gen.Login200JSONResponse{LoginJSONResponse: gen.LoginJSONResponse(model.LoginResult{Data: map[string]any{}})}, nil
}
