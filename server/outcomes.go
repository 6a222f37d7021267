package server

import (
	"context"
	"slices"

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
	// Logs returns the last lines that the run printed, the oldest line first. It returns no lines if
	// none are recorded.
	Logs(ctx context.Context, key jobrun.Key) ([]model.JobLogLine, error)
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

// GetJobLogs returns the last lines that a run of a job of the token's own team printed.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetJobLogs(
	ctx context.Context,
	r gen.GetJobLogsRequestObject,
) (gen.GetJobLogsResponseObject, error) {
	body, err := h.logs(ctx, r.Params)
	return gen.GetJobLogs200JSONResponse{JobLogsJSONResponse: body}, err
}

// GetTeamJobLogs returns the last lines that a run of a job of the named team printed.
// Returns jobrun.ErrNotFound if there is no such run.
func (h *handler) GetTeamJobLogs(
	ctx context.Context,
	r gen.GetTeamJobLogsRequestObject,
) (gen.GetTeamJobLogsResponseObject, error) {
	body, err := h.logs(ctx, model.GetJobLogsParams(r.Params))
	return gen.GetTeamJobLogs200JSONResponse{JobLogsJSONResponse: body}, err
}

// logs reads the lines of the run that the parameters name. Only RunID may be nil: the other
// parameters have defaults.
func (h *handler) logs(
	ctx context.Context, p model.GetJobLogsParams,
) (response gen.JobLogsJSONResponse, err error) {
	key := &exchangeOf(ctx).subject // the server logs the run that it reads
	if p.RunID != nil {
		key.Run = *p.RunID
	} else {
		job, err := h.jobs.Job(ctx, *key)
		if err != nil {
			return response, err
		}
		key.Run = job.State.LatestRun.ID
	}
	lines, err := h.outcomes.Logs(ctx, *key)
	if *p.Direction == model.LogDirectionBackward {
		slices.Reverse(lines)
	}
	lines = lines[:min(*p.LineLimit, len(lines))]
	response.Body.Data = orEmpty(&lines)
	return response, err
}
