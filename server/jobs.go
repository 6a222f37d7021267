package server

import (
	"context"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Jobs is where jobs are read. Each method returns jobrun.ErrUnavailable if the store cannot be
// reached.
type Jobs interface {
	// Job returns the job of the key, whose Run does not matter.
	// Returns jobrun.ErrNotFound if the job does not exist.
	Job(ctx context.Context, key jobrun.Key) (*model.JobDetail, error)
	// Jobs lists the jobs of a project whose latest run has one of the filter's statuses, by id. Each
	// job has its latest run if withRuns is true.
	// Returns jobrun.ErrNotFound if the project does not exist.
	Jobs(
		ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page, withRuns bool,
	) (jobrun.List[model.Job], error)
}

// GetJob returns a job of the token's own team.
// Returns jobrun.ErrNotFound if there is no such job.
func (h *handler) GetJob(ctx context.Context, _ gen.GetJobRequestObject) (gen.GetJobResponseObject, error) {
	body, err := h.job(ctx)
	return gen.GetJob200JSONResponse{JobDetailsJSONResponse: body}, err
}

// GetTeamJob returns a job of the named team.
// Returns jobrun.ErrNotFound if there is no such job.
func (h *handler) GetTeamJob(
	ctx context.Context,
	_ gen.GetTeamJobRequestObject,
) (gen.GetTeamJobResponseObject, error) {
	body, err := h.job(ctx)
	return gen.GetTeamJob200JSONResponse{JobDetailsJSONResponse: body}, err
}

func (h *handler) job(ctx context.Context) (response gen.JobDetailsJSONResponse, err error) {
	job, err := h.jobs.Job(ctx, exchangeOf(ctx).subject)
	if err == nil {
		response.Body.Data = *job
	}
	return response, err
}

// ListJobs lists the jobs of a project of the token's own team.
// Returns jobrun.ErrNotFound if there is no such project.
func (h *handler) ListJobs(ctx context.Context, r gen.ListJobsRequestObject) (gen.ListJobsResponseObject, error) {
	body, err := h.listJobs(ctx, r.Params)
	return gen.ListJobs200JSONResponse{JobListJSONResponse: gen.JobListJSONResponse{Body: body}}, err
}

// ListTeamJobs lists the jobs of a project of the named team.
// Returns jobrun.ErrNotFound if there is no such project.
func (h *handler) ListTeamJobs(
	ctx context.Context,
	r gen.ListTeamJobsRequestObject,
) (gen.ListTeamJobsResponseObject, error) {
	body, err := h.listJobs(ctx, model.ListJobsParams(r.Params))
	return gen.ListTeamJobs200JSONResponse{JobListJSONResponse: gen.JobListJSONResponse{Body: body}}, err
}

func (h *handler) listJobs(ctx context.Context, p model.ListJobsParams) (model.JobListResult, error) {
	page, err := pageOf(p.PerPage, p.Page, p.Cursor)
	if err != nil {
		return model.JobListResult{}, err
	}
	filter := jobrun.Filter{Statuses: orEmpty(p.Status)}
	list, err := h.jobs.Jobs(ctx, exchangeOf(ctx).subject, filter, page, *p.LatestRun)
	return model.JobListResult{Data: model.JobListData{Jobs: orEmpty(&list.Items)}, Pagination: pagination(list)}, err
}
