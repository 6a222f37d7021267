package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// allTimeout is for commands that ask for many pages.
const allTimeout = 10 * time.Minute

const reasonsHelp = `
If a run has failed, the table has its host and the reason of its end. On a terminal that is too narrow, the table
leaves out the IDs and more.
`

const listHelp = `
The server and the token are looked for like those of "northflank get job run". -o json and -o yaml print the list for
programs, and -o json --jq EXPRESSION what jq's language makes of it. A list of several pages is printed as it arrives,
except with --jq. The exit status is 0 whatever the list has in it, 1 for an error and 2 for a wrong command line.`

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
		return printList(cmd, &r, "projects", page, needsNothing,
			func(ctx context.Context, at client.ListOptions) (*client.Page[client.Project], *client.Response, error) {
				return r.client.ListProjects(ctx, r.ref.Team, at)
			}, projectTable)
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
		return printList(cmd, &r, "jobs", page, needsProject,
			func(ctx context.Context, at client.ListOptions) (*client.Page[client.Job], *client.Response, error) {
				return r.client.ListJobs(ctx, r.project(), client.ListJobsOptions{ListOptions: at, LatestRun: true})
			}, jobTable)
	}
	return cmd
}

func newGetJobRuns() *cobra.Command {
	var r request
	var page pageFlags
	var filter filterFlags
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of a job",
		Long:  "List the runs of a job, the one that started last first.\n" + reasonsHelp + listHelp,
		Example: `  northflank get job runs --projectId default-project --jobId example-job
  northflank get job runs --project default-project --job example-job --status FAILED --since 24h
  northflank get job runs --project default-project --job example-job --loadAll -o json`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsJob)
	filter.add(cmd)
	page.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return r.listRuns(cmd, filter, page, needsJob) }
	return cmd
}

func newListRuns() *cobra.Command {
	var r request
	var filter filterFlags
	page := pageFlags{all: true}
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of all jobs of a project",
		Long: `List the runs of all jobs of a project, the one that started last first. It takes a request for 100 runs. The
Northflank API does not have this list.
` + reasonsHelp + listHelp,
		Example: `  northflank list runs --projectId default-project --status FAILED --since 24h
  northflank list runs --project default-project --job example-job --status FAILED -o json
  northflank list runs --project default-project --limit 10 -o json --jq '.runs[].id'`,
		Args: cobra.NoArgs,
	}
	r.addFlags(cmd, needsProject)
	cmd.Flags().StringVar(&r.ref.Job, "jobId", "", "only runs of the job with this `ID` (or --job)")
	complete(cmd, "jobId", r.completions(needsJob))
	filter.add(cmd)
	cmd.Flags().IntVar(&page.limit, "limit", 100, "maximum `number` of runs; 0 for no limit")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		page.at.PerPage = min(page.limit, 100)
		return r.listRuns(cmd, filter, page, needsProject)
	}
	return cmd
}

// listRuns prints runs of the project, or of the job if there is one.
func (r *request) listRuns(cmd *cobra.Command, filter filterFlags, page pageFlags, level int) error {
	opts, err := filter.options()
	if err != nil {
		return err
	}
	reasons := false // once a page has them, the next pages have their columns, too
	return printList(cmd, r, "runs", page, level,
		func(ctx context.Context, at client.ListOptions) (*client.Page[listedRun], *client.Response, error) {
			return r.runs(ctx, opts, at)
		}, func(runs []listedRun, now time.Time, color bool) table {
			reasons = reasons || explained(runs)
			return runTable(runs, reasons, level == needsProject, now, color)
		})
}

// listedRun is a run in a list. The Northflank API sends only the fields of JobRun.
type listedRun struct {
	client.JobRun
	JobID                 string
	Reason, Message, Host *string
}

// decodeRuns makes the runs of a page from what the server sent.
func decodeRuns[T any](
	page *client.Page[T], resp *client.Response, err error,
) (*client.Page[listedRun], *client.Response, error) {
	if err != nil {
		return nil, resp, err
	}
	runs := make([]listedRun, len(page.Raw))
	for i, sent := range page.Raw {
		if err := json.Unmarshal(sent, &runs[i]); err != nil {
			return nil, resp, err
		}
	}
	return &client.Page[listedRun]{Items: runs, Raw: page.Raw, HasNext: page.HasNext, Cursor: page.Cursor}, resp, nil
}

// runs returns a page of the runs of the project, or of the job if there is one. A list of a project's
// runs that is empty does not tell whether the project has the job.
func (r *request) runs(
	ctx context.Context, opts client.ListProjectRunsOptions, at client.ListOptions,
) (*client.Page[listedRun], *client.Response, error) {
	opts.ListOptions, opts.Job = at, r.ref.Job
	page, resp, err := decodeRuns(r.client.ListProjectRuns(ctx, r.project(), opts))
	absent := errors.Is(err, client.ErrNotFound)
	switch {
	case opts.Job != "" && (absent || err == nil && len(page.Items) == 0 && at.Cursor == ""):
		return decodeRuns(r.client.ListJobRuns(ctx, r.job(), client.ListJobRunsOptions{
			ListOptions: at, Statuses: opts.Statuses, Since: opts.Since, Until: opts.Until,
		}))
	case absent:
		one := client.ListJobsOptions{ListOptions: client.ListOptions{PerPage: 1}}
		if _, _, err := r.client.ListJobs(ctx, r.project(), one); err == nil { // so there is such a project
			return nil, nil, fmt.Errorf("%s does not list the runs of a project, because it is an earlier jobrund or "+
				"the Northflank API: northflank get job runs lists the runs of a job", r.conn.host)
		}
	}
	return page, resp, err
}

// printList prints a page of a list, or all pages, each as it arrives. It then tells how to get the
// rest.
func printList[T any](
	cmd *cobra.Command, r *request, name string, flags pageFlags, level int,
	list func(context.Context, client.ListOptions) (*client.Page[T], *client.Response, error),
	asTable func(items []T, now time.Time, color bool) table,
) error {
	if err := flags.check(cmd); err != nil {
		return err
	}
	if err := r.open(cmd.Context(), level); err != nil {
		return err
	}
	out := &listWriter{request: r, name: name}
	write := func(page *client.Page[T]) error {
		return out.write(page.Raw, func(now time.Time, color bool) table { return asTable(page.Items, now, color) })
	}
	limit := allTimeout
	if !flags.all {
		limit, flags.at.PerPage = timeout, cmp.Or(flags.at.PerPage, 50)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	var last *client.Response
	next := func(at client.ListOptions) (*client.Page[T], *client.Response, error) {
		page, resp, err := list(ctx, at)
		r.trace(resp)
		last = resp
		return page, resp, err
	}
	rest, shown := "", 0
	for page, err := range client.Pages(ctx, flags.at, next) {
		if err != nil {
			return r.userError(err, last)
		}
		if !flags.all && page.Cursor != "" {
			rest = fmt.Sprintf("--cursor %s shows the next page, --loadAll shows all", escape(page.Cursor))
		}
		left := flags.limit - shown
		full := flags.limit > 0 && len(page.Items) >= left
		if full {
			if page.HasNext || len(page.Items) > left {
				rest = "--limit 0 shows all"
			}
			page.Items, page.Raw = page.Items[:left], page.Raw[:left]
		}
		shown += len(page.Items)
		if err := write(page); err != nil {
			return err
		}
		if full || !flags.all {
			break
		}
	}
	if err := out.end(cmd.Context()); err != nil || r.quiet || rest == "" {
		return err
	}
	fmt.Fprintf(os.Stderr, "There may be more: %s.\n", rest)
	return nil
}
