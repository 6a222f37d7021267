package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// allTimeout is for commands that ask for many pages.
const allTimeout = 10 * time.Minute

const listHelp = `
The server and the token are looked for like those of "northflank get job run". -o json and -o yaml print the list for
programs, and -o json --jq EXPRESSION what jq's language makes of it. The exit status is 0 whatever the list has in it,
1 for an error and 2 for a wrong command line.`

func newListProjects() *cobra.Command {
	var r request
	var page pageFlags
	cmd := &cobra.Command{
		Use:     "projects",
		Aliases: []string{"project"},
		Short:   "List the projects that the token may see",
		Long:    "List the projects that the token may see.\n" + listHelp,
		Example: `  northflank list projects
  northflank list projects -o json`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsNothing)
	page.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := fetch(cmd, &r, page, needsNothing,
			func(ctx context.Context, at client.ListOptions) (*client.Page[client.Project], *client.Response, error) {
				return r.client.ListProjects(ctx, r.ref.Team, at)
			})
		if err != nil {
			return err
		}
		return finish(found, r.printList(cmd.Context(), "projects", found.Raw, func(time.Time, bool) table {
			return projectTable(found.Items)
		}))
	}
	return cmd
}

func newListJobs() *cobra.Command {
	var r request
	var page pageFlags
	cmd := &cobra.Command{
		Use:     "jobs",
		Aliases: []string{"job"},
		Short:   "List the jobs of a project, each with its latest run",
		Long: "List the jobs of a project, each with its latest run: how it is doing, since when, and for how long.\n" +
			listHelp,
		Example: `  northflank list jobs --projectId default-project
  northflank list jobs --project default-project -o json`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsProject)
	page.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := fetch(cmd, &r, page, needsProject,
			func(ctx context.Context, at client.ListOptions) (*client.Page[client.Job], *client.Response, error) {
				return r.client.ListJobs(ctx, r.project(), client.ListJobsOptions{ListOptions: at})
			})
		if err != nil {
			return err
		}
		return finish(found, r.printList(cmd.Context(), "jobs", found.Raw, func(now time.Time, color bool) table {
			return jobTable(found.Items, now, color)
		}))
	}
	return cmd
}

func newGetJobRuns() *cobra.Command {
	var r request
	var page pageFlags
	var filter filterFlags
	var outcome outcomeFlag
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of a job",
		Long:  "List the runs of a job, the one that started last first.\n" + outcomeHelp + listHelp,
		Example: `  northflank get job runs --projectId default-project --jobId example-job
  northflank get job runs --project default-project --job example-job --status FAILED --since 24h
  northflank get job runs --project default-project --job example-job --loadAll -o json`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsJob)
	filter.add(cmd)
	page.add(cmd)
	outcome.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts, err := filter.options()
		if err != nil {
			return err
		}
		found, err := fetch(cmd, &r, page, needsJob,
			func(ctx context.Context, at client.ListOptions) (*client.Page[client.JobRun], *client.Response, error) {
				opts.ListOptions = at
				return r.client.ListJobRuns(ctx, r.job(), opts)
			})
		if err != nil {
			return err
		}
		return finish(found, showRuns(cmd, &r, listedRuns(found, r.job()), outcome.most(cmd, &r, opts), false))
	}
	return cmd
}

// fetch returns a page of a list, or all pages as one with --loadAll.
func fetch[T any](
	cmd *cobra.Command, r *request, flags pageFlags, level int,
	list func(context.Context, client.ListOptions) (*client.Page[T], *client.Response, error),
) (*client.Page[T], error) {
	if err := flags.check(cmd); err != nil {
		return nil, err
	}
	if err := r.open(cmd.Context(), level); err != nil {
		return nil, err
	}
	if !flags.all {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		page, resp, err := list(ctx, flags.at)
		if err != nil {
			return nil, r.userError(err, resp)
		}
		return page, nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), allTimeout)
	defer cancel()
	var all client.Page[T]
	next := func(at client.ListOptions) (*client.Page[T], *client.Response, error) { return list(ctx, at) }
	for page, err := range client.Pages(ctx, flags.at, next) {
		if err != nil {
			return nil, r.userError(err, nil)
		}
		all.Items, all.Raw = append(all.Items, page.Items...), append(all.Raw, page.Raw...)
	}
	return &all, nil
}

// finish tells how to get the next page, unless printing this one failed.
func finish[T any](page *client.Page[T], err error) error {
	if err == nil && page.HasNext {
		fmt.Fprintf(os.Stderr, "There may be more: --cursor %s shows the next page, --loadAll shows all.\n",
			escape(page.Cursor))
	}
	return err
}

// listedRun is a run in a list.
type listedRun struct {
	client.JobRun
	ref  client.RunRef
	sent json.RawMessage
	why  *reason // nil if it is not known
}

// listedRuns returns the runs of a page of a job's runs.
func listedRuns(page *client.Page[client.JobRun], job client.JobRef) []listedRun {
	var runs []listedRun
	for i, run := range page.Items {
		ref := client.RunRef{Team: job.Team, Project: job.Project, Job: job.Job, Run: run.ID}
		runs = append(runs, listedRun{JobRun: run, ref: ref, sent: page.Raw[i]})
	}
	return runs
}

// showRuns prints runs, and why they failed, for as many as most. jobs means that the runs are of
// several jobs.
func showRuns(cmd *cobra.Command, r *request, runs []listedRun, most int, jobs bool) error {
	why := findReasons(cmd.Context(), r.client, runs, most)
	var sent []json.RawMessage
	for _, run := range runs {
		var err error
		if jobs {
			run.sent, err = withMember(run.sent, "projectId", run.ref.Project)
			if err == nil {
				run.sent, err = withMember(run.sent, "jobId", run.ref.Job)
			}
		}
		if most > 0 && run.failed() && err == nil {
			run.sent, err = withMember(run.sent, "outcome", run.why.raw())
		}
		if err != nil {
			return err
		}
		sent = append(sent, run.sent)
	}
	err := r.printList(cmd.Context(), "runs", sent, func(now time.Time, color bool) table {
		return runTable(runs, why.known, jobs, now, color)
	})
	if err == nil {
		fmt.Fprint(os.Stderr, why.note())
	}
	return err
}

// withMember returns a JSON object with another member, unless it already has a member of that name.
func withMember(object json.RawMessage, name string, value any) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	if _, ok := fields[name]; ok {
		return object, nil
	}
	member, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(object, '}')
	return slices.Concat(object[:end], []byte(","), member[1:]), nil // the object has an ID at least
}

// listRuns is the command "northflank list runs".
type listRuns struct {
	request
	filter  filterFlags
	outcome outcomeFlag
	limit   int
}

func newListRuns() *cobra.Command {
	var l listRuns
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of all jobs of a project",
		Long: `List the runs of all jobs of a project, the one that started last first. It takes a request for each job that has
run since --since.
` + outcomeHelp + listHelp,
		Example: `  northflank list runs --projectId default-project --status FAILED --since 24h
  northflank list runs --project default-project --status FAILED --since 24h -o json --outcome
  northflank list runs --project default-project --limit 10 -o json --jq '.runs[].id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd) },
	}
	l.addFlags(cmd, needsProject)
	l.filter.add(cmd)
	l.outcome.add(cmd)
	cmd.Flags().IntVar(&l.limit, "limit", 100, "`number` of runs at the most; 0 for no limit")
	return cmd
}

func (l *listRuns) run(cmd *cobra.Command) error {
	opts, err := l.filter.options()
	if err != nil {
		return err
	}
	if l.limit < 0 {
		return usagef("--limit %d: it cannot be negative", l.limit)
	}
	if err := l.open(cmd.Context(), needsProject); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), allTimeout)
	defer cancel()
	runs, more, err := l.collect(ctx, opts)
	if err != nil {
		return l.userError(err, nil)
	}
	if err := showRuns(cmd, &l.request, runs, l.outcome.most(cmd, &l.request, opts), true); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(os.Stderr, "There are more: these are the %d that started last, --limit 0 shows all.\n", l.limit)
	}
	return nil
}

// collect returns the newest runs of all jobs, and whether there are more.
func (l *listRuns) collect(
	ctx context.Context, opts client.ListJobRunsOptions,
) (runs []listedRun, more bool, err error) {
	perPage := 100
	if l.limit > 0 {
		perPage = min(perPage, l.limit+1)
	}
	for job, err := range l.client.Jobs(ctx, l.project(), client.ListJobsOptions{}) {
		if err != nil {
			return nil, false, err
		}
		if job.LatestRun != nil && !job.LatestRun.StartedAt.IsZero() && job.LatestRun.StartedAt.Before(opts.Since) {
			continue
		}
		ref := client.JobRef{Team: l.ref.Team, Project: l.ref.Project, Job: job.ID}
		before := len(runs)
		list := func(at client.ListOptions) (*client.Page[client.JobRun], *client.Response, error) {
			opts.ListOptions = at
			return l.client.ListJobRuns(ctx, ref, opts)
		}
		for page, err := range client.Pages(ctx, client.ListOptions{PerPage: perPage}, list) {
			if errors.Is(err, client.ErrNotFound) {
				break // its runs have been removed since
			}
			if err != nil {
				return nil, false, err
			}
			runs = append(runs, listedRuns(page, ref)...)
			if l.limit > 0 && len(runs)-before > l.limit {
				break
			}
		}
	}
	slices.SortStableFunc(runs, func(a, b listedRun) int { return b.StartedAt.Compare(a.StartedAt) })
	if l.limit > 0 && len(runs) > l.limit {
		return runs[:l.limit], true, nil
	}
	return runs, false, nil
}
