package server

import (
	"context"
	"fmt"

	"github.com/jobruns/jobruns/gen/model"
	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Lists is where projects and runs are listed. Each method returns a part of its list, whose Next
// only has characters that a URL need not escape, and jobrun.ErrUnavailable if the store cannot be
// reached.
type Lists interface {
	// Projects lists the ids of a team's projects. If only is not empty, others are left out.
	Projects(ctx context.Context, team string, only []string, page jobrun.Page) (jobrun.List[string], error)
	// ProjectRuns lists the runs of the project of the key, or those of one job if the key has a job.
	// The run that started last comes first.
	// Returns jobrun.ErrNotFound if the project does not exist.
	ProjectRuns(
		ctx context.Context,
		key jobrun.Key,
		filter jobrun.Filter,
		page jobrun.Page,
	) (jobrun.List[model.ProjectRun], error)
	// JobRuns lists the runs of a job, the one that started last first.
	// Returns jobrun.ErrNotFound if the job does not exist.
	JobRuns(
		ctx context.Context,
		key jobrun.Key,
		filter jobrun.Filter,
		page jobrun.Page,
	) (jobrun.List[model.JobRun], error)
}

// ListProjects lists the projects of the token's own team that the token may see.
func (h *handler) ListProjects(
	ctx context.Context,
	r gen.ListProjectsRequestObject,
) (gen.ListProjectsResponseObject, error) {
	body, err := h.listProjects(ctx, r.Params)
	return gen.ListProjects200JSONResponse{ProjectListJSONResponse: gen.ProjectListJSONResponse{Body: body}}, err
}

// ListTeamProjects lists the projects of the named team that the token may see.
func (h *handler) ListTeamProjects(
	ctx context.Context,
	r gen.ListTeamProjectsRequestObject,
) (gen.ListTeamProjectsResponseObject, error) {
	body, err := h.listProjects(ctx, model.ListProjectsParams(r.Params))
	return gen.ListTeamProjects200JSONResponse{ProjectListJSONResponse: gen.ProjectListJSONResponse{Body: body}}, err
}

func (h *handler) listProjects(ctx context.Context, p model.ListProjectsParams) (model.ProjectListResult, error) {
	page, err := pageOf(p.PerPage, p.Page, p.Cursor)
	if err != nil {
		return model.ProjectListResult{}, err
	}
	x := exchangeOf(ctx)
	list, err := h.lists.Projects(ctx, x.subject.Team, x.session.Token.Projects, page)
	projects := []model.Project{}
	for _, id := range list.Items {
		projects = append(projects, model.Project{ID: id, Name: id})
	}
	return model.ProjectListResult{
		Data:       model.ProjectListData{Projects: projects},
		Pagination: pagination(list),
	}, err
}

// ListProjectRuns lists the runs of a project of the token's own team.
// Returns jobrun.ErrNotFound if there is no such project.
func (h *handler) ListProjectRuns(
	ctx context.Context,
	r gen.ListProjectRunsRequestObject,
) (gen.ListProjectRunsResponseObject, error) {
	body, err := h.listProjectRuns(ctx, r.Params)
	return gen.ListProjectRuns200JSONResponse{ProjectRunListJSONResponse: gen.ProjectRunListJSONResponse{Body: body}}, err
}

// ListTeamProjectRuns lists the runs of a project of the named team.
// Returns jobrun.ErrNotFound if there is no such project.
func (h *handler) ListTeamProjectRuns(
	ctx context.Context,
	r gen.ListTeamProjectRunsRequestObject,
) (gen.ListTeamProjectRunsResponseObject, error) {
	body, err := h.listProjectRuns(ctx, model.ListProjectRunsParams(r.Params))
	return gen.ListTeamProjectRuns200JSONResponse{
		ProjectRunListJSONResponse: gen.ProjectRunListJSONResponse{Body: body},
	}, err
}

func (h *handler) listProjectRuns(
	ctx context.Context, p model.ListProjectRunsParams,
) (model.ProjectRunListResult, error) {
	page, err := pageOf(p.PerPage, p.Page, p.Cursor)
	if err != nil {
		return model.ProjectRunListResult{}, err
	}
	key := exchangeOf(ctx).subject
	if p.JobID != nil {
		key.Job = *p.JobID
	}
	filter := jobrun.Filter{Statuses: orEmpty(p.Status), Since: p.Since, Until: p.Until}
	list, err := h.lists.ProjectRuns(ctx, key, filter, page)
	return model.ProjectRunListResult{
		Data:       model.ProjectRunListData{Runs: orEmpty(&list.Items)},
		Pagination: pagination(list),
	}, err
}

// ListJobRuns lists the runs of a job of the token's own team.
// Returns jobrun.ErrNotFound if there is no such job.
func (h *handler) ListJobRuns(
	ctx context.Context,
	r gen.ListJobRunsRequestObject,
) (gen.ListJobRunsResponseObject, error) {
	body, err := h.listJobRuns(ctx, r.Params)
	return gen.ListJobRuns200JSONResponse{JobRunListJSONResponse: gen.JobRunListJSONResponse{Body: body}}, err
}

// ListTeamJobRuns lists the runs of a job of the named team.
// Returns jobrun.ErrNotFound if there is no such job.
func (h *handler) ListTeamJobRuns(
	ctx context.Context,
	r gen.ListTeamJobRunsRequestObject,
) (gen.ListTeamJobRunsResponseObject, error) {
	body, err := h.listJobRuns(ctx, model.ListJobRunsParams(r.Params))
	return gen.ListTeamJobRuns200JSONResponse{JobRunListJSONResponse: gen.JobRunListJSONResponse{Body: body}}, err
}

func (h *handler) listJobRuns(ctx context.Context, p model.ListJobRunsParams) (model.JobRunListResult, error) {
	page, err := pageOf(p.PerPage, p.Page, p.Cursor)
	if err != nil {
		return model.JobRunListResult{}, err
	}
	filter := jobrun.Filter{Statuses: orEmpty(p.Status), Since: p.Since, Until: p.Until}
	list, err := h.lists.JobRuns(ctx, exchangeOf(ctx).subject, filter, page)
	return model.JobRunListResult{
		Data:       model.JobRunListData{Runs: orEmpty(&list.Items)},
		Pagination: pagination(list),
	}, err
}

// pageOf returns the part of a list that the parameters ask for. Only cursor may be nil: the others
// have defaults.
// Returns contract.ErrInvalid for a page that only a cursor leads to.
func pageOf(perPage *model.PerPage, page *model.Page, cursor *string) (jobrun.Page, error) {
	if cursor != nil {
		return jobrun.Page{Size: *perPage, After: *cursor}, nil
	}
	if *page**perPage > jobrun.MaxPageSkip {
		return jobrun.Page{}, contract.InvalidQuery("page", "maximum", fmt.Sprintf(
			"page times per_page must be at most %d: further on, use the cursor of the page before",
			jobrun.MaxPageSkip,
		))
	}
	return jobrun.Page{Size: *perPage, Skip: (*page - 1) * *perPage}, nil
}

func pagination[T any](list jobrun.List[T]) model.Pagination {
	return model.Pagination{HasNextPage: list.Next != "", Cursor: list.Next, Count: len(list.Items)}
}

// orEmpty returns the elements, or an empty list, which is [] in JSON, for nil.
func orEmpty[T any](elements *[]T) []T {
	if elements == nil || *elements == nil {
		return []T{}
	}
	return *elements
}
