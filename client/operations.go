package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jobruns/jobruns/gen/model"
)

// GetJobRun returns the details of a run.
//
// The error is an [*Error] for a response other than 200 (in particular [ErrBadRequest],
// [ErrUnauthorized], [ErrForbidden], [ErrNotFound], [ErrRateLimited]) and for a 200 without a run.
// It is the transport's (usually a [*url.Error]) or the context's if there is no response, or the
// response cannot be read. It is a plain one for a reference without a Project, Job or Run, for
// which the client makes no request. The run is nil with every error, the response with every error
// but an [*Error].
//
// Operation getJobRun: GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}
func (c *Client) GetJobRun(ctx context.Context, ref RunRef) (*JobRun, *Response, error) {
	return c.getJobRun(ctx, ref, nil)
}

// getJobRun is GetJobRun with a preference (RFC 7240), or without one if prefer is nil.
func (c *Client) getJobRun(ctx context.Context, ref RunRef, prefer *model.Prefer) (*JobRun, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	call := newCall(c, func(r *model.JobRunResult, _ []byte) (*JobRun, bool) { return &r.Data, isRun(&r.Data) })
	if ref.Team == "" {
		return call.result(call.GetJobRunWithResponse(ctx, ref.Project, ref.Job, ref.Run,
			&model.GetJobRunParams{Prefer: prefer}))
	}
	return call.result(call.GetTeamJobRunWithResponse(ctx, ref.Team, ref.Project, ref.Job, ref.Run,
		&model.GetTeamJobRunParams{Prefer: prefer}))
}

// GetJobRunOutcome returns why a run ended as it did, and its attempts that have ended. The Reason
// is nil until the run has concluded, and may be a word that this package does not know.
//
// The error is like that of [Client.GetJobRun]. An [ErrNotFound] can also mean that the server knows
// no outcomes, like the Northflank API.
//
// Operation getJobRunOutcome: GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}/outcome
func (c *Client) GetJobRunOutcome(ctx context.Context, ref RunRef) (*JobRunOutcome, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	call := newCall(c, func(r *model.JobRunOutcomeResult, _ []byte) (*JobRunOutcome, bool) {
		return &r.Data, r.Data.Attempts != nil
	})
	if ref.Team == "" {
		return call.result(call.GetJobRunOutcomeWithResponse(ctx, ref.Project, ref.Job, ref.Run))
	}
	return call.result(call.GetTeamJobRunOutcomeWithResponse(ctx, ref.Team, ref.Project, ref.Job, ref.Run))
}

// GetJobLogs returns the last lines that the command of a run printed, as far as its recorder kept
// them. They contain any control characters that the command printed, on which a terminal would act.
// The token needs the permission "Project > Jobs > Deployment > View Instance Logs".
//
// The error is [ErrNotFound] if there is no such run, and otherwise like that of [Client.GetJobRun].
//
// Operation getJobLogs: GET /v1/projects/{projectId}/jobs/{jobId}/logs
func (c *Client) GetJobLogs(
	ctx context.Context, ref JobRef, opts JobLogsOptions,
) (_ []JobLogLine, resp *Response, err error) {
	if err := checkIDs("JobRef.", "Team", ref.Team, "Project", ref.Project, "Job", ref.Job); err != nil {
		return nil, nil, err
	}
	params := model.GetJobLogsParams{
		RunID: optional(opts.Run), LineLimit: optional(opts.LineLimit), Direction: optional(opts.Direction),
	}
	call := newCall(c, func(r *model.JobLogsResult, _ []byte) (*[]JobLogLine, bool) { return &r.Data, r.Data != nil })
	var lines *[]JobLogLine
	if ref.Team == "" {
		lines, resp, err = call.result(call.GetJobLogsWithResponse(ctx, ref.Project, ref.Job, &params))
	} else {
		lines, resp, err = call.result(call.GetTeamJobLogsWithResponse(ctx, ref.Team, ref.Project, ref.Job,
			new(model.GetTeamJobLogsParams(params))))
	}
	if err != nil {
		return nil, resp, err
	}
	return *lines, resp, nil
}

// Login checks the token. The error is nil if the server accepts it, [ErrUnauthorized] if not, and
// otherwise like that of [Client.GetJobRun].
//
// Operation login: GET /v1/login
func (c *Client) Login(ctx context.Context) (*Response, error) {
	call := newCall(c, func(r *model.LoginResult, _ []byte) (*model.LoginResult, bool) { return r, true })
	_, resp, err := call.result(call.LoginWithResponse(ctx))
	return resp, err
}

// ListProjects returns a page of the projects that the token can read. The team is its ID, or empty
// for the team that the token belongs to.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listProjects: GET /v1/projects
func (c *Client) ListProjects(ctx context.Context, team string, opts ListOptions) (*Page[Project], *Response, error) {
	if err := checkIDs("", "Team", team); err != nil {
		return nil, nil, err
	}
	params := model.ListProjectsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
	}
	call := newCall(c, func(r *model.ProjectListResult, body []byte) (*Page[Project], bool) {
		return newPage(opts.Cursor, body, "projects", r.Data.Projects, r.Pagination, func(p *Project) bool {
			return p.ID != ""
		})
	})
	if team == "" {
		return call.result(call.ListProjectsWithResponse(ctx, &params))
	}
	return call.result(call.ListTeamProjectsWithResponse(ctx, team, new(model.ListTeamProjectsParams(params))))
}

// GetJob returns a job and its state.
//
// The error is like that of [Client.GetJobRun].
//
// Operation getJob: GET /v1/projects/{projectId}/jobs/{jobId}
func (c *Client) GetJob(ctx context.Context, ref JobRef) (*JobDetail, *Response, error) {
	if err := checkIDs("JobRef.", "Team", ref.Team, "Project", ref.Project, "Job", ref.Job); err != nil {
		return nil, nil, err
	}
	call := newCall(c, func(r *model.JobResult, _ []byte) (*JobDetail, bool) { return &r.Data, r.Data.ID != "" })
	if ref.Team == "" {
		return call.result(call.GetJobWithResponse(ctx, ref.Project, ref.Job))
	}
	return call.result(call.GetTeamJobWithResponse(ctx, ref.Team, ref.Project, ref.Job))
}

// ListJobs returns a page of the jobs of a project.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listJobs: GET /v1/projects/{projectId}/jobs
func (c *Client) ListJobs(ctx context.Context, ref ProjectRef, opts ListJobsOptions) (*Page[Job], *Response, error) {
	if err := checkIDs("ProjectRef.", "Team", ref.Team, "Project", ref.Project); err != nil {
		return nil, nil, err
	}
	params := model.ListJobsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
		Status: statuses(opts.Statuses), LatestRun: optional(opts.LatestRun),
	}
	call := newCall(c, func(r *model.JobListResult, body []byte) (*Page[Job], bool) {
		return newPage(opts.Cursor, body, "jobs", r.Data.Jobs, r.Pagination, func(job *Job) bool {
			return job.ID != "" && (job.LatestRun == nil || isRun(job.LatestRun))
		})
	})
	if ref.Team == "" {
		return call.result(call.ListJobsWithResponse(ctx, ref.Project, &params))
	}
	return call.result(call.ListTeamJobsWithResponse(ctx, ref.Team, ref.Project,
		new(model.ListTeamJobsParams(params))))
}

// ListProjectRuns returns a page of the runs of a project. The run that started last comes first.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listProjectRuns: GET /v1/projects/{projectId}/runs
func (c *Client) ListProjectRuns(
	ctx context.Context, ref ProjectRef, opts ListProjectRunsOptions,
) (*Page[ProjectRun], *Response, error) {
	if err := checkIDs("ProjectRef.", "Team", ref.Team, "Project", ref.Project); err != nil {
		return nil, nil, err
	}
	params := model.ListProjectRunsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
		Status: statuses(opts.Statuses), Since: optional(opts.Since), Until: optional(opts.Until),
		JobID: optional(opts.Job),
	}
	call := newCall(c, func(r *model.ProjectRunListResult, body []byte) (*Page[ProjectRun], bool) {
		return newPage(opts.Cursor, body, "runs", r.Data.Runs, r.Pagination, func(run *ProjectRun) bool {
			return run.ID != "" && run.Status != "" && run.JobID != ""
		})
	})
	if ref.Team == "" {
		return call.result(call.ListProjectRunsWithResponse(ctx, ref.Project, &params))
	}
	return call.result(call.ListTeamProjectRunsWithResponse(ctx, ref.Team, ref.Project,
		new(model.ListTeamProjectRunsParams(params))))
}

// ListJobRuns returns a page of the runs of a job. The run that started last comes first.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listJobRuns: GET /v1/projects/{projectId}/jobs/{jobId}/runs
func (c *Client) ListJobRuns(
	ctx context.Context, ref JobRef, opts ListJobRunsOptions,
) (*Page[JobRun], *Response, error) {
	if err := checkIDs("JobRef.", "Team", ref.Team, "Project", ref.Project, "Job", ref.Job); err != nil {
		return nil, nil, err
	}
	params := model.ListJobRunsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
		Status: statuses(opts.Statuses), Since: optional(opts.Since), Until: optional(opts.Until),
	}
	call := newCall(c, func(r *model.JobRunListResult, body []byte) (*Page[JobRun], bool) {
		page, ok := newPage(opts.Cursor, body, "runs", r.Data.Runs, r.Pagination, isRun)
		if ok {
			page.keep(opts.match)
		}
		return page, ok
	})
	if ref.Team == "" {
		return call.result(call.ListJobRunsWithResponse(ctx, ref.Project, ref.Job, &params))
	}
	return call.result(call.ListTeamJobRunsWithResponse(ctx, ref.Team, ref.Project, ref.Job,
		new(model.ListTeamJobRunsParams(params))))
}

// LatestJobRun returns the run of a job that started last.
//
// The error is [ErrNotFound] if the job has no run, and otherwise like that of [Client.GetJobRun].
func (c *Client) LatestJobRun(ctx context.Context, ref JobRef) (*JobRun, *Response, error) {
	page, resp, err := c.ListJobRuns(ctx, ref, ListJobRunsOptions{ListOptions: ListOptions{PerPage: 1}})
	if err != nil {
		return nil, resp, err
	}
	if len(page.Items) == 0 {
		return nil, resp, fmt.Errorf("job %q of project %q has no run: %w", ref.Job, ref.Project, ErrNotFound)
	}
	return &page.Items[0], resp, nil
}

// isRun reports whether a run has an ID and a status. Without both, the JSON was of something else.
func isRun(run *JobRun) bool { return run.ID != "" && run.Status != "" }

// newPage makes the page after a cursor of a decoded response, and reports whether the response has
// the list and complete items. The body provides the items as the server sent them, in data.KEY.
func newPage[T any](
	after string, body []byte, key string, items []T, position model.Pagination, complete func(*T) bool,
) (*Page[T], bool) {
	var sent struct{ Data map[string][]json.RawMessage }
	_ = json.Unmarshal(body, &sent) // what is no list in data is not wanted
	page := &Page[T]{Items: items, Raw: sent.Data[key], HasNext: position.HasNextPage}
	if page.HasNext && movesForward(after, position.Cursor, key == "runs") {
		page.Cursor = position.Cursor
	}
	for i := range items {
		if !complete(&items[i]) {
			return nil, false
		}
	}
	return page, items != nil && len(page.Raw) == len(items)
}

// optional returns nil for the zero value.
func optional[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

func statuses(s []JobRunStatus) *model.Status {
	if len(s) == 0 {
		return nil
	}
	return &s
}

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
	call := newCall(c, func(r *model.JobRunResult, _ []byte) (*JobRun, bool) { return &r.Data, isRun(&r.Data) })
	if ref.Team == "" {
		return call.result(call.RecordJobRunWithResponse(ctx, ref.Project, ref.Job, ref.Run, nil, report))
	}
	return call.result(call.RecordTeamJobRunWithResponse(ctx, ref.Team, ref.Project, ref.Job, ref.Run, nil, report))
}
