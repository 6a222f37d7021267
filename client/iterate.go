package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Projects returns all projects that the token can read, beginning with the page that the options
// select. The team is like that of [Client.ListProjects].
//
// This and the other iterators request a page when the loop needs it. When the token has used up
// its rate limit, they wait until the window ends. If the context's deadline comes first, they do
// not wait, and the error is [ErrRateLimited]. The first error ends the loop, and comes with the
// zero value. It is like that of [Client.GetJobRun], or the context's if the context has ended. An
// item that is added or removed during the loop may be left out; every other item comes once.
func (c *Client) Projects(ctx context.Context, team string, opts ListOptions) iter.Seq2[Project, error] {
	return all(ctx, opts, func(at ListOptions) (*Page[Project], *Response, error) {
		return c.ListProjects(ctx, team, at)
	})
}

// Jobs returns all jobs of a project that the options select, beginning with the selected page. It
// pages like [Client.Projects].
func (c *Client) Jobs(ctx context.Context, ref ProjectRef, opts ListJobsOptions) iter.Seq2[Job, error] {
	return all(ctx, opts.ListOptions, func(at ListOptions) (*Page[Job], *Response, error) {
		opts.ListOptions = at
		return c.ListJobs(ctx, ref, opts)
	})
}

// ProjectRuns returns all runs of a project that the options select, beginning with the selected
// page. The run that started last comes first. It pages like [Client.Projects].
func (c *Client) ProjectRuns(
	ctx context.Context, ref ProjectRef, opts ListProjectRunsOptions,
) iter.Seq2[ProjectRun, error] {
	return all(ctx, opts.ListOptions, func(at ListOptions) (*Page[ProjectRun], *Response, error) {
		opts.ListOptions = at
		return c.ListProjectRuns(ctx, ref, opts)
	})
}

// JobRuns returns all runs of a job that the options select, beginning with the selected page. The
// run that started last comes first. It pages like [Client.Projects].
func (c *Client) JobRuns(ctx context.Context, ref JobRef, opts ListJobRunsOptions) iter.Seq2[JobRun, error] {
	return all(ctx, opts.ListOptions, func(at ListOptions) (*Page[JobRun], *Response, error) {
		opts.ListOptions = at
		return c.ListJobRuns(ctx, ref, opts)
	})
}

// all returns the items of the pages that list returns, one page after the other.
func all[T any](
	ctx context.Context,
	at ListOptions,
	list func(ListOptions) (*Page[T], *Response, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range Pages(ctx, at, list) {
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Pages returns the pages of a list, beginning with the one that the options select. The function
// list requests one page, by [Client.ListJobRuns] or the like. Pages calls it when the loop needs a
// page, and waits and fails like [Client.Projects].
func Pages[T any](
	ctx context.Context,
	at ListOptions,
	list func(ListOptions) (*Page[T], *Response, error),
) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		next := at // the loop may be started again
		if next.PerPage == 0 {
			next.PerPage = 100
		}
		for {
			page, resp, err := list(next)
			if errors.Is(err, ErrRateLimited) {
				if waitForReset(ctx, resp) {
					continue
				}
				err = cmp.Or(ctx.Err(), err)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) || !page.HasNext {
				return
			}
			if page.Cursor == "" {
				yield(nil, errors.New("the server promises a next page, but its cursor leads nowhere"))
				return
			}
			next.Page, next.Cursor = 0, page.Cursor
			if limit := resp.RateLimit; limit.Limit > 0 && limit.Remaining <= 0 {
				waitForReset(ctx, resp)
			}
		}
	}
}

var (
	// runCursor matches a cursor of a list of runs: the start, and the ID of a run, which the length and
	// the ID of its job precede in a list of several jobs.
	runCursor = regexp.MustCompile(`^(-?[0-9]{1,12})\.(.+)$`)
	// objectID matches a cursor of the Northflank API, which does not show its place in the list.
	objectID = regexp.MustCompile(`^[0-9a-f]{24}$`)
)

// movesForward reports whether a cursor comes after another one in the order of the list: by ID, or
// the run that started last first. Otherwise, a list might never end.
func movesForward(from, to string, runs bool) bool {
	if from == "" || objectID.MatchString(to) {
		return from != to
	}
	before, after := runCursor.FindStringSubmatch(from), runCursor.FindStringSubmatch(to)
	if runs && before != nil && after != nil {
		start, _ := strconv.Atoi(before[1])
		next, _ := strconv.Atoi(after[1])
		return next < start || next == start && slices.Compare(idsOf(after[2]), idsOf(before[2])) > 0
	}
	return to > from
}

// idsOf returns the IDs of a job and a run from LENGTH.JOB.RUN, or otherwise a run's ID.
func idsOf(text string) []string {
	length, ids, _ := strings.Cut(text, ".")
	if n, err := strconv.Atoi(length); err == nil && 0 < n && n < len(ids) && ids[n] == '.' {
		return []string{ids[:n], ids[n+1:]}
	}
	return []string{text}
}

// waitForReset waits until the server accepts requests again, and reports whether it did. It does
// not begin if the response does not say when, or if the context ends earlier.
func waitForReset(ctx context.Context, resp *Response) bool {
	wait, asked := askedWait(resp.Response, time.Now())
	if !asked {
		wait = resp.RateLimit.Reset
	}
	if deadline, ok := ctx.Deadline(); wait <= 0 || ok && wait > time.Until(deadline) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}
