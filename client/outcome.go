package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// ErrUnsupported means that the server has the run, and not the operation: it is an earlier version,
// or the Northflank API.
var ErrUnsupported = errors.New("the server does not have this operation")

// OutcomeOption changes what [Client.JobRunOutcome] does.
type OutcomeOption func(*outcomeOptions)

type outcomeOptions struct{ runExists bool }

// RunExists says that the server has just been seen to have the run. A 404 is then [ErrUnsupported],
// without a second request to find that out.
func RunExists() OutcomeOption { return func(o *outcomeOptions) { o.runExists = true } }

// JobRunOutcome returns why a run ended as it did, and which of its attempts have ended. While the
// run goes on, the Reason is nil. Reasons that this package does not know may come.
//
// The error is [ErrUnsupported] if the server has the run and knows no outcomes, which takes a second
// request to find out, unless [RunExists] is given, and otherwise like that of [Client.GetJobRun].
//
// Operation getJobRunOutcome: GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}/outcome, or,
// with a team, getTeamJobRunOutcome: GET
// /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}/outcome
func (c *Client) JobRunOutcome(
	ctx context.Context,
	ref RunRef,
	opts ...OutcomeOption,
) (*JobRunOutcome, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	var o outcomeOptions
	for _, opt := range opts {
		opt(&o)
	}
	var answer *http.Response
	var err error
	if ref.Team == "" {
		answer, err = c.api.GetJobRunOutcome(ctx, ref.Project, ref.Job, ref.Run)
	} else {
		answer, err = c.api.GetTeamJobRunOutcome(ctx, ref.Team, ref.Project, ref.Job, ref.Run)
	}
	outcome, resp, err := result(c, answer, err, decodeOutcome)
	if o.runExists && errors.Is(err, ErrNotFound) {
		return nil, resp, unsupported(err)
	}
	return outcome, resp, c.missing(ctx, ref, err)
}

// JobRunOutput returns the last part of what the command of a run printed. Its Output is nil if the
// run has not concluded or nobody kept it. It is as it was printed: what a terminal would act upon
// is in it. The token needs the permission "Project > Observability > Logs > Read".
//
// The error is [ErrUnsupported] if the server has the run and knows no output, as far as the token
// lets that be seen, and otherwise like that of [Client.GetJobRun].
//
// Operation getJobRunOutput: GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}/output, or, with
// a team, getTeamJobRunOutput: GET
// /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}/output
func (c *Client) JobRunOutput(ctx context.Context, ref RunRef) (*JobRunOutput, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	var answer *http.Response
	var err error
	if ref.Team == "" {
		answer, err = c.api.GetJobRunOutput(ctx, ref.Project, ref.Job, ref.Run)
	} else {
		answer, err = c.api.GetTeamJobRunOutput(ctx, ref.Team, ref.Project, ref.Job, ref.Run)
	}
	output, resp, err := result(c, answer, err, decodeOutput)
	return output, resp, c.missing(ctx, ref, err)
}

// missing finds out whether it is the run or the operation that the server does not have: the
// response is 404 for both. Returns any other error as it is.
func (c *Client) missing(ctx context.Context, ref RunRef, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, _, missing := c.GetJobRun(ctx, ref); missing != nil {
		return err
	}
	return unsupported(err)
}

// unsupported returns an error that is not [ErrNotFound] any more.
func unsupported(err error) error { return fmt.Errorf("%w: %s", ErrUnsupported, err.Error()) }

// decodeOutcome reads {"data": OUTCOME}, ignoring fields that it does not know.
func decodeOutcome(body []byte) (*JobRunOutcome, error) {
	var answer struct{ Data *JobRunOutcome }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not the outcome of a job run: %w", err)
	}
	if answer.Data == nil || answer.Data.Attempts == nil {
		return nil, errors.New("not the outcome of a job run: there is no data.attempts")
	}
	return answer.Data, nil
}

// decodeOutput reads {"data": OUTPUT}, ignoring fields that it does not know.
func decodeOutput(body []byte) (*JobRunOutput, error) {
	var answer struct{ Data *JobRunOutput }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not the output of a job run: %w", err)
	}
	if answer.Data == nil {
		return nil, errors.New("not the output of a job run: there is no data")
	}
	return answer.Data, nil
}
