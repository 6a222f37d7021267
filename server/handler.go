package server

import (
	"context"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// handler implements the contract's operations. A request reaches it only when its operation's checks have let it
// through.
type handler struct {
	runs    Runs
	final   *finalAnswers
	encoder *detailsEncoder
}

// GetJobRun implements getJobRun.
func (h *handler) GetJobRun(ctx context.Context, r gen.GetJobRunRequestObject) (gen.GetJobRunResponseObject, error) {
	return h.details(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
}

// GetTeamJobRun implements getTeamJobRun.
func (h *handler) GetTeamJobRun(ctx context.Context, r gen.GetTeamJobRunRequestObject) (gen.GetTeamJobRunResponseObject, error) {
	return h.details(ctx, r.ProjectID, r.JobID, r.RunID, r.Params.Prefer)
}

// details returns an answer that is held as an error, for requests.hold. Those that are kept do not come this far.
func (h *handler) details(ctx context.Context, project, job, run string, prefer *string) (details, error) {
	c := callOf(ctx)
	key := jobrun.Key{Team: c.team, Project: project, Job: job, Run: run}
	found, final, err := h.runs.Run(ctx, key)
	if err != nil {
		return details{}, err
	}
	wait, waits := preferredWait(prefer)
	if !found.Concluded && wait > 0 {
		return details{}, &held{key, wait}
	}
	body, err := h.encoder.encode(found)
	if err != nil {
		return details{}, err
	}
	if final {
		h.final.put(c, key, body)
	}
	return details{c, body, wait, waits}, nil
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
	return document.of(origin(callOf(ctx).Request())), nil
}

// GetSwaggerHTML implements getSwaggerHtml.
func (h *handler) GetSwaggerHTML(context.Context, gen.GetSwaggerHTMLRequestObject) (gen.GetSwaggerHTMLResponseObject, error) {
	return pageAnswer{}, nil
}
