package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Projects returns all projects that the token may see, beginning with the page that the options
// name. The team is like that of [Client.ListProjects].
//
// This and the other iterators ask for a page when the loop comes to it. When the token has used up
// its rate limit, they wait until it may ask again, however long that takes. If the context's
// deadline comes first, they do not wait: the error is [ErrRateLimited] then. The first error ends
// the loop, and comes with the zero value; it is like that of [Client.GetJobRun], and the context's
// when that has ended. What is added or removed meanwhile may come or not; everything else comes
// once.
func (c *Client) Projects(ctx context.Context, team string, opts ListOptions) iter.Seq2[Project, error] {
	return all(ctx, opts, func(at ListOptions) (*Page[Project], *Response, error) {
		return c.ListProjects(ctx, team, at)
	})
}

// Jobs returns all jobs of a project that the options name, beginning with the page that they name.
// It pages like [Client.Projects].
func (c *Client) Jobs(ctx context.Context, ref ProjectRef, opts ListJobsOptions) iter.Seq2[Job, error] {
	return all(ctx, opts.ListOptions, func(at ListOptions) (*Page[Job], *Response, error) {
		opts.ListOptions = at
		return c.ListJobs(ctx, ref, opts)
	})
}

// JobRuns returns all runs of a job that the options name, the one that started last first,
// beginning with the page that the options name. It pages like [Client.Projects].
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

// Pages returns the pages of a list, beginning with the one that the options name. The function
// list asks for one, by [Client.ListJobRuns] or its like. Pages asks when the loop comes to a page,
// and waits and fails like [Client.Projects].
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
		seen := map[string]bool{}
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
				yield(nil, errNoCursor)
				return
			}
			if seen[page.Cursor] {
				yield(nil, fmt.Errorf("the server sends the cursor %q again, which would never end", page.Cursor))
				return
			}
			seen[page.Cursor] = true
			next.Page, next.Cursor = 0, page.Cursor
			if limit := resp.RateLimit; limit.Limit > 0 && limit.Remaining <= 0 {
				waitForReset(ctx, resp)
			}
		}
	}
}

// waitForReset waits until the server takes requests again, and reports whether it has done so. It
// does not begin if the server does not say when, or if the context ends before.
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
