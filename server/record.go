package server

import (
	"context"
	"reflect"
	"sync"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Recorder stores the reports of recorders.
type Recorder interface {
	// RecordRun merges a report into the run of that key, as jobrun.Record.Apply does, and returns the
	// run. Before it stores anything, it calls admit, whose argument is whether the run is new, and
	// returns the error of admit if there is one.
	// Returns errors of jobrun.Record.Apply, and jobrun.ErrUnavailable if the store cannot be reached.
	RecordRun(
		ctx context.Context, key jobrun.Key, report model.JobRunReport, admit func(isNew bool) error,
	) (*model.JobRun, error)
}

// RecordJobRun records a run of the token's own team.
// Returns errors as Recorder does, and auth.ErrTooManyRequests if the token has used up its budget.
func (h *handler) RecordJobRun(
	ctx context.Context,
	r gen.RecordJobRunRequestObject,
) (gen.RecordJobRunResponseObject, error) {
	body, err := h.record(ctx, r.Params, r.Body)
	return gen.RecordJobRun200JSONResponse{JobRunRecordedJSONResponse: body}, err
}

// RecordTeamJobRun records a run of the named team.
// Returns errors as Recorder does, and auth.ErrTooManyRequests if the token has used up its budget.
func (h *handler) RecordTeamJobRun(
	ctx context.Context,
	r gen.RecordTeamJobRunRequestObject,
) (gen.RecordTeamJobRunResponseObject, error) {
	body, err := h.record(ctx, model.RecordJobRunParams(r.Params), r.Body)
	return gen.RecordTeamJobRun200JSONResponse{JobRunRecordedJSONResponse: body}, err
}

func (h *handler) record(
	ctx context.Context, params model.RecordJobRunParams, body *model.JobRunReport,
) (response gen.JobRunRecordedJSONResponse, err error) {
	report, err := reportOf(params, body)
	if err != nil {
		return response, err
	}
	x := exchangeOf(ctx)
	var isNew bool
	counted := sync.OnceValue(func() error { return x.session.AdmitReport(isNew, report.Conclusion != nil) })
	run, err := h.recorder.RecordRun(ctx, x.subject, report, func(first bool) error {
		isNew = first
		return counted() // the store may try a transaction again
	})
	if err == nil {
		response.Body.Data = *run
	}
	return response, err
}

// reportOf returns the report in the body, or else in the parameters.
// Returns contract.ErrInvalid for a request with both.
func reportOf(params model.RecordJobRunParams, body *model.JobRunReport) (model.JobRunReport, error) {
	const rule, reason = "requestBody", "the parameter is only for a request without a body"
	hasBody := body != nil && !reflect.ValueOf(*body).IsZero()
	switch {
	case hasBody && params.ExitStatus != nil:
		return *body, contract.InvalidQuery("exitStatus", rule, reason)
	case hasBody && params.HeartbeatTimeout != nil:
		return *body, contract.InvalidQuery("heartbeatTimeout", rule, reason)
	case hasBody:
		return *body, nil
	}
	report := model.JobRunReport{HeartbeatTimeout: params.HeartbeatTimeout}
	if status := params.ExitStatus; status != nil {
		report.Conclusion = &model.JobRunConclusion{Succeeded: *status == 0, ExitStatus: status}
	}
	return report, nil
}
