package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// ProjectRef says which project is meant.
type ProjectRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
}

// JobRef says which job is meant.
type JobRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
	Job     string // ID of the job
}

// ListOptions says which page of a list is wanted. The zero value is the first page.
type ListOptions struct {
	PerPage int    // results in a page, 1 to 100; 0 for what the server chooses, and 100 for iterators
	Page    int    // which page, from 1 on; 0 for the first. Far pages need a Cursor
	Cursor  string // of the page before; Page does not count then
}

// ListJobsOptions says which jobs are wanted. The zero value is all of them. The Northflank API does
// not know Statuses, and sends all.
type ListJobsOptions struct {
	ListOptions
	Statuses []JobRunStatus // of the latest run; empty for any
}

// ListJobRunsOptions says which runs are wanted. The zero value is all of them. The Northflank API
// sends the others too, and the client leaves them out.
type ListJobRunsOptions struct {
	ListOptions
	Statuses []JobRunStatus // empty for any
	Since    time.Time      // the earliest start; zero for any
	Until    time.Time      // the first start that is too late; zero for any
}

// Page is a page of a list. It may have fewer results than were asked for, even none, and not be
// the last one.
type Page[T any] struct {
	Items   []T
	Raw     []json.RawMessage // the Items as the server sent them, with the fields that a T does not have
	HasNext bool              // whether there may be more results
	Cursor  string            // for the ListOptions of the next page; empty on the last one
}

// ListProjects returns a page of the projects that the token may see. The team is its ID, or empty
// for the team that the token belongs to.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listProjects: GET /v1/projects, or, with a team, listTeamProjects:
// GET /v1/teams/{teamId}/projects
func (c *Client) ListProjects(ctx context.Context, team string, opts ListOptions) (*Page[Project], *Response, error) {
	if err := checkIDs("", id{"team", team}); err != nil {
		return nil, nil, err
	}
	params := model.ListProjectsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
	}
	var answer *http.Response
	var err error
	if team == "" {
		answer, err = c.api.ListProjects(ctx, &params)
	} else {
		answer, err = c.api.ListTeamProjects(ctx, team, new(model.ListTeamProjectsParams(params)))
	}
	return result(c, answer, err, decodeProjects)
}

// ListJobs returns a page of the jobs of a project, each with its latest run, which is nil if there
// is none or the server does not say.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listJobs: GET /v1/projects/{projectId}/jobs, or, with a team, listTeamJobs:
// GET /v1/teams/{teamId}/projects/{projectId}/jobs
func (c *Client) ListJobs(ctx context.Context, ref ProjectRef, opts ListJobsOptions) (*Page[Job], *Response, error) {
	if err := checkIDs("ProjectRef.", id{"Project", ref.Project}, id{"Team", ref.Team}); err != nil {
		return nil, nil, err
	}
	params := model.ListJobsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
		Status: statuses(opts.Statuses),
	}
	var answer *http.Response
	var err error
	if ref.Team == "" {
		answer, err = c.api.ListJobs(ctx, ref.Project, &params)
	} else {
		answer, err = c.api.ListTeamJobs(ctx, ref.Team, ref.Project, new(model.ListTeamJobsParams(params)))
	}
	return result(c, answer, err, decodeJobs)
}

// ListJobRuns returns a page of the runs of a job, the one that started last first.
//
// The error is like that of [Client.GetJobRun].
//
// Operation listJobRuns: GET /v1/projects/{projectId}/jobs/{jobId}/runs, or, with a team,
// listTeamJobRuns: GET /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs
func (c *Client) ListJobRuns(
	ctx context.Context,
	ref JobRef,
	opts ListJobRunsOptions,
) (*Page[JobRun], *Response, error) {
	if err := checkIDs("JobRef.", id{"Project", ref.Project}, id{"Job", ref.Job}, id{"Team", ref.Team}); err != nil {
		return nil, nil, err
	}
	params := model.ListJobRunsParams{
		PerPage: optional(opts.PerPage), Page: optional(opts.Page), Cursor: optional(opts.Cursor),
		Status: statuses(opts.Statuses), Since: optional(opts.Since), Until: optional(opts.Until),
	}
	var answer *http.Response
	var err error
	if ref.Team == "" {
		answer, err = c.api.ListJobRuns(ctx, ref.Project, ref.Job, &params)
	} else {
		answer, err = c.api.ListTeamJobRuns(
			ctx,
			ref.Team,
			ref.Project,
			ref.Job,
			new(model.ListTeamJobRunsParams(params)),
		)
	}
	page, resp, err := result(c, answer, err, decodeRuns)
	if err == nil {
		page.keep(opts.match)
	}
	return page, resp, err
}

// match reports whether a run is wanted.
func (o *ListJobRunsOptions) match(run JobRun) bool {
	return (len(o.Statuses) == 0 || slices.Contains(o.Statuses, run.Status)) && !run.StartedAt.Before(o.Since) &&
		(o.Until.IsZero() || run.StartedAt.Before(o.Until))
}

// keep leaves out the items that do not match.
func (p *Page[T]) keep(match func(T) bool) {
	n := 0
	for i, item := range p.Items {
		if match(item) {
			p.Items[n], p.Raw[n] = item, p.Raw[i]
			n++
		}
	}
	p.Items, p.Raw = p.Items[:n], p.Raw[:n]
}

// LatestJobRun returns the run of a job that started last.
//
// The error is [ErrNotFound] if the job has no run, and otherwise like that of [Client.GetJobRun].
//
// Operations listJobRuns and listTeamJobRuns, like [Client.ListJobRuns].
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

var errNoCursor = errors.New("the server says that there is a next page, and not where")
