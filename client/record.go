package client

import (
	"context"
	"net/http"

	"github.com/jobruns/jobruns/gen/model"
)

// JobRunReport is what a recorder reports about a run. The server keeps the recorded value of a
// field that is nil. Times are in UTC and whole seconds.
type JobRunReport = model.JobRunReport

// JobRunConclusion says how a run ended.
type JobRunConclusion = model.JobRunConclusion

// JobRunAttemptReport is an attempt of a run, which has ended.
type JobRunAttemptReport = model.JobRunAttemptReport

// LogLine is a line that a command printed, with its time in UTC.
type LogLine = model.LogLine

// RecordJobRun reports the state of a run, and returns the run as the server has it then. The same
// report twice changes nothing. The token needs the permission "Project > Jobs > Runs > Record".
//
// The error is an [*Error] with the status 409 if the report contradicts the recorded run, 413 if the
// report is too large, and otherwise like that of [Client.GetJobRun].
//
// Operation recordJobRun: PUT /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}, or, with a team,
// recordTeamJobRun: PUT /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}
func (c *Client) RecordJobRun(ctx context.Context, ref RunRef, report JobRunReport) (*JobRun, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	var answer *http.Response
	var err error
	if ref.Team == "" {
		answer, err = c.api.RecordJobRun(ctx, ref.Project, ref.Job, ref.Run, nil, report)
	} else {
		answer, err = c.api.RecordTeamJobRun(ctx, ref.Team, ref.Project, ref.Job, ref.Run, nil, report)
	}
	return result(c, answer, err, decodeRun)
}
