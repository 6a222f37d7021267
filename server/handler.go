package server

import (
	"context"

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

// details returns an answer that is held as an error, for holdAnswers.
func (h *handler) details(ctx context.Context, project, job, run string, prefer *string) (gen.JobRunDetailsJSONResponse, error) {
	key := RunKey{Team: accessOf(ctx).team, Project: project, Job: job, Run: run}
	found, err := h.runs.Run(ctx, key)
	if err != nil {
		return gen.JobRunDetailsJSONResponse{}, err
	}
	wait, ok := preferredWait(prefer)
	switch {
	case !ok:
		return details(found, nil), nil
	case found.Concluded || wait == 0:
		return details(found, &wait), nil
	}
	return gen.JobRunDetailsJSONResponse{}, &held{key, wait}
}

// Login implements login: whoever comes this far has a valid token.
func (h *handler) Login(context.Context, gen.LoginRequestObject) (gen.LoginResponseObject, error) {
	return gen.Login200JSONResponse{LoginJSONResponse: gen.LoginJSONResponse{Body: model.LoginResult{Data: map[string]any{}}}}, nil
}

// GetSwaggerJSON implements getSwaggerJson.
func (h *handler) GetSwaggerJSON(ctx context.Context, _ gen.GetSwaggerJSONRequestObject) (gen.GetSwaggerJSONResponseObject, error) {
	document, err := writtenDocument()
	if err != nil {
		return nil, err
	}
	return document.of(accessOf(ctx).origin()), nil
}

// GetSwaggerHTML implements getSwaggerHtml.
func (h *handler) GetSwaggerHTML(context.Context, gen.GetSwaggerHTMLRequestObject) (gen.GetSwaggerHTMLResponseObject, error) {
	return pageAnswer{}, nil
}
