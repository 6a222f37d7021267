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
The server and the token are looked for like those of "northflank get job run". -o json and -o yaml print
the list for programs, and -o json --jq EXPRESSION what jq's language makes of it. The exit status is 0 whatever the list has in it, 1 for an error and 2 for a wrong command line.`

// A pageOf asks for a page of a list.
type pageOf[T any] func(
	context.Context, *client.Client, client.ListOptions,
) (*client.Page[T], *client.Response, error)

// newListProjects makes the command "northflank list projects".
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
		return show(cmd, &r, needsNothing, page, projectTable, "projects",
			func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.Project], *client.Response, error) {
				return c.ListProjects(ctx, r.ref.Team, at)
			})
	}
	return cmd
}

// newListJobs makes the command "northflank list jobs".
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
		return show(cmd, &r, needsProject, page, jobTable, "jobs",
			func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.Job], *client.Response, error) {
				return c.ListJobs(ctx, r.project(), client.ListJobsOptions{ListOptions: at})
			})
	}
	return cmd
}

// newGetJobRuns makes the command "northflank get job runs".
func newGetJobRuns() *cobra.Command {
	var r request
	var page pageFlags
	var filter filterFlags
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of a job",
		Long:  "List the runs of a job, the one that started last first.\n" + listHelp,
		Example: `  northflank get job runs --projectId default-project --jobId example-job
  northflank get job runs --project default-project --job example-job --status FAILED --since 24h
  northflank get job runs --project default-project --job example-job --loadAll -o json`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsJob)
	filter.add(cmd)
	page.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts, err := filter.options()
		if err != nil {
			return err
		}
		return show(cmd, &r, needsJob, page, runTable, "runs",
			func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.JobRun], *client.Response, error) {
				opts.ListOptions = at
				return c.ListJobRuns(ctx, r.job(), opts)
			})
	}
	return cmd
}

func (r *request) project() client.ProjectRef {
	return client.ProjectRef{Team: r.ref.Team, Project: r.ref.Project}
}

func (r *request) job() client.JobRef {
	return client.JobRef{Team: r.ref.Team, Project: r.ref.Project, Job: r.ref.Job}
}

// show prints a list, whose items are of the name: one page, or all of them.
func show[T any](
	cmd *cobra.Command,
	r *request,
	level int,
	flags pageFlags,
	asTable func([]T, time.Time, bool) table,
	name string,
	page pageOf[T],
) error {
	if err := flags.check(cmd); err != nil {
		return err
	}
	c, conn, err := r.open()
	if err != nil {
		return err
	}
	if err := r.choose(cmd.Context(), c, conn, level); err != nil {
		return err
	}
	limit := timeout
	if flags.all {
		limit = allTimeout
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	var items []T
	var sent []json.RawMessage
	var more string
	if flags.all {
		list := func(at client.ListOptions) (*client.Page[T], *client.Response, error) { return page(ctx, c, at) }
		for read, err := range client.Pages(ctx, flags.at, list) {
			if err != nil {
				return explainRef(err, nil, conn, r.ref)
			}
			items, sent = append(items, read.Items...), append(sent, read.Raw...)
		}
	} else {
		read, resp, err := page(ctx, c, flags.at)
		if err != nil {
			return explainRef(err, resp, conn, r.ref)
		}
		items, sent = read.Items, read.Raw
		if read.HasNext {
			more = fmt.Sprintf(
				"There may be more: --cursor %s shows the next page, --loadAll shows all.\n",
				printable(read.Cursor),
			)
		}
	}
	if err := r.printTable(cmd.Context(), name, sent, func(now time.Time, color bool) table {
		return asTable(items, now, color)
	}); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, more)
	return nil
}

// listedRun is a run of a list of runs of several jobs.
type listedRun struct {
	client.JobRun
	jobID string
	sent  json.RawMessage
}

// withJob returns the run as the server sent it, and before that the project and the job it is of.
func (l listedRun) withJob(project string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(l.sent, &fields); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, id := range []member{{"projectId", project}, {"jobId", l.jobID}} {
		if _, ok := fields[id.name]; !ok {
			writeJSON(&b, id.name)
			b.WriteByte(':')
			writeJSON(&b, id.value)
			b.WriteByte(',')
		}
	}
	b.Write(bytes.TrimLeft(l.sent, "{ \t\r\n")) // of a run there is at least the id
	return b.Bytes(), nil
}

// listRuns is the command "northflank list runs".
type listRuns struct {
	request
	filter filterFlags
	limit  int
}

func newListRuns() *cobra.Command {
	var l listRuns
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of all jobs of a project",
		Long: `List the runs of all jobs of a project, the one that started last first. It takes a request for each job that has
run since --since.
` + listHelp,
		Example: `  northflank list runs --projectId default-project --status FAILED --since 24h
  northflank list runs --project default-project --limit 10 -o json --jq '.runs[].id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.addFlags(cmd, needsProject)
	l.filter.add(cmd)
	cmd.Flags().IntVar(&l.limit, "limit", 100, "`number` of runs at the most; 0 for no limit")
	return cmd
}

func (l *listRuns) run(ctx context.Context) error {
	opts, err := l.filter.options()
	if err != nil {
		return err
	}
	if l.limit < 0 {
		return usagef("--limit %d: it cannot be negative", l.limit)
	}
	c, conn, err := l.open()
	if err != nil {
		return err
	}
	if err := l.choose(ctx, c, conn, needsProject); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, allTimeout)
	defer cancel()
	runs, more, err := l.collect(ctx, c, opts)
	if err != nil {
		return explainRef(err, nil, conn, client.RunRef{Team: l.ref.Team, Project: l.ref.Project})
	}
	var sent []json.RawMessage
	for _, run := range runs {
		with, err := run.withJob(l.ref.Project)
		if err != nil {
			return err
		}
		sent = append(sent, with)
	}
	if err := l.printTable(ctx, "runs", sent, func(now time.Time, color bool) table {
		return listedTable(runs, now, color)
	}); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(os.Stderr, "There are more: these are the %d that started last, --limit 0 shows all.\n", l.limit)
	}
	return nil
}

// collect returns the newest runs of all jobs, and whether there are more.
func (l *listRuns) collect(
	ctx context.Context,
	c *client.Client,
	opts client.ListJobRunsOptions,
) (runs []listedRun, more bool, err error) {
	perPage := 100
	if l.limit > 0 {
		perPage = min(perPage, l.limit+1)
	}
	for job, err := range c.Jobs(ctx, l.project(), client.ListJobsOptions{}) {
		if err != nil {
			return nil, false, err
		}
		if job.LatestRun != nil && !job.LatestRun.StartedAt.IsZero() && job.LatestRun.StartedAt.Before(opts.Since) {
			continue
		}
		ref := client.JobRef{Team: l.ref.Team, Project: l.ref.Project, Job: job.ID}
		n := 0
		list := func(at client.ListOptions) (*client.Page[client.JobRun], *client.Response, error) {
			opts.ListOptions = at
			return c.ListJobRuns(ctx, ref, opts)
		}
		for page, err := range client.Pages(ctx, client.ListOptions{PerPage: perPage}, list) {
			if errors.Is(err, client.ErrNotFound) {
				break // its runs have been removed meanwhile
			}
			if err != nil {
				return nil, false, err
			}
			for i, run := range page.Items {
				runs = append(runs, listedRun{run, job.ID, page.Raw[i]})
			}
			if n += len(page.Items); l.limit > 0 && n > l.limit {
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
