package server

import (
	"context"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Outcomes is where it is read why runs ended as they did, and what they printed. Each method
// returns jobrun.ErrNotFound if there is no such run, and jobrun.ErrUnavailable if the store cannot
// be reached.
type Outcomes interface {
	// Outcome returns why the run ended as it did. Its Reason is nil while the run goes on.
	Outcome(ctx context.Context, key jobrun.Key) (*model.JobRunOutcome, error)
	// Output returns the last part of what the run printed. Its Output is nil if that is not known.
	Output(ctx context.Context, key jobrun.Key) (*model.JobRunOutput, error)
}

// GetJobRunOutcome returns why a run of the token's own team ended as it did.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetJobRunOutcome(
	ctx context.Context,
	_ gen.GetJobRunOutcomeRequestObject,
) (gen.GetJobRunOutcomeResponseObject, error) {
	body, err := h.outcome(ctx)
	return gen.GetJobRunOutcome200JSONResponse{JobRunOutcomeDetailsJSONResponse: body}, err
}

// GetTeamJobRunOutcome returns why a run of the named team ended as it did.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetTeamJobRunOutcome(
	ctx context.Context,
	_ gen.GetTeamJobRunOutcomeRequestObject,
) (gen.GetTeamJobRunOutcomeResponseObject, error) {
	body, err := h.outcome(ctx)
	return gen.GetTeamJobRunOutcome200JSONResponse{JobRunOutcomeDetailsJSONResponse: body}, err
}

func (h *handler) outcome(ctx context.Context) (response gen.JobRunOutcomeDetailsJSONResponse, err error) {
	outcome, err := h.outcomes.Outcome(ctx, exchangeOf(ctx).subject)
	if err == nil {
		response.Body.Data = *outcome
	}
	return response, err
}

// GetJobRunOutput returns what a run of the token's own team printed last.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetJobRunOutput(
	ctx context.Context,
	_ gen.GetJobRunOutputRequestObject,
) (gen.GetJobRunOutputResponseObject, error) {
	body, err := h.output(ctx)
	return gen.GetJobRunOutput200JSONResponse{JobRunOutputDetailsJSONResponse: body}, err
}

// GetTeamJobRunOutput returns what a run of the named team printed last.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetTeamJobRunOutput(
	ctx context.Context,
	_ gen.GetTeamJobRunOutputRequestObject,
) (gen.GetTeamJobRunOutputResponseObject, error) {
	body, err := h.output(ctx)
	return gen.GetTeamJobRunOutput200JSONResponse{JobRunOutputDetailsJSONResponse: body}, err
}

func (h *handler) output(ctx context.Context) (response gen.JobRunOutputDetailsJSONResponse, err error) {
	output, err := h.outcomes.Output(ctx, exchangeOf(ctx).subject)
	if err == nil {
		response.Body.Data = *output
	}
	return response, err
}
