package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
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

// A pageOf asks for a page of a list.
type pageOf[T any] func(
	context.Context, *client.Client, client.ListOptions,
) (*client.Page[T], *client.Response, error)

// A listing is what [show] needs to know of a list.
type listing[T any] struct {
	level int    // what a request for it needs
	name  string // of the items, in JSON
	page  pageOf[T]
	table func([]T, time.Time, bool) table
	// complete adds to the items what no list has, and returns what to tell afterwards. It is nil where
	// there is nothing to add.
	complete func(context.Context, *client.Client, []T, []json.RawMessage) (note string, err error)
}

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
		return show(cmd, &r, page, listing[client.Project]{
			level: needsNothing, name: "projects", table: projectTable,
			page: func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.Project], *client.Response, error) {
				return c.ListProjects(ctx, r.ref.Team, at)
			},
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
		return show(cmd, &r, page, listing[client.Job]{
			level: needsProject, name: "jobs", table: jobTable,
			page: func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.Job], *client.Response, error) {
				return c.ListJobs(ctx, r.project(), client.ListJobsOptions{ListOptions: at})
			},
		})
	}
	return cmd
}

// newGetJobRuns makes the command "northflank get job runs".
func newGetJobRuns() *cobra.Command {
	var r request
	var page pageFlags
	var filter filterFlags
	var outcomes outcomeFlag
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
	outcomes.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts, err := filter.options()
		if err != nil {
			return err
		}
		var why *reasons
		return show(cmd, &r, page, listing[client.JobRun]{
			level: needsJob, name: "runs",
			page: func(
				ctx context.Context, c *client.Client, at client.ListOptions,
			) (*client.Page[client.JobRun], *client.Response, error) {
				opts.ListOptions = at
				return c.ListJobRuns(ctx, r.job(), opts)
			},
			complete: func(
				ctx context.Context, c *client.Client, runs []client.JobRun, sent []json.RawMessage,
			) (string, error) {
				if !outcomes.wanted(cmd, &r, opts) {
					return "", nil
				}
				why = findReasons(ctx, c, len(runs), outcomes.most(cmd), func(i int) (*client.JobRun, client.RunRef) {
					ref := r.ref
					ref.Run = runs[i].ID
					return &runs[i], ref
				})
				return why.note(), why.addTo(sent)
			},
			table: func(runs []client.JobRun, now time.Time, color bool) table {
				return runTable(runs, now, color).withReasons(why)
			},
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

// show prints a list: one page, or all of them.
func show[T any](cmd *cobra.Command, r *request, flags pageFlags, list listing[T]) error {
	if err := flags.check(cmd); err != nil {
		return err
	}
	c, conn, err := r.open()
	if err != nil {
		return err
	}
	if err := r.choose(cmd.Context(), c, conn, list.level); err != nil {
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
		page := func(at client.ListOptions) (*client.Page[T], *client.Response, error) { return list.page(ctx, c, at) }
		for read, err := range client.Pages(ctx, flags.at, page) {
			if err != nil {
				return explainRef(err, nil, conn, r.ref)
			}
			items, sent = append(items, read.Items...), append(sent, read.Raw...)
		}
	} else {
		read, resp, err := list.page(ctx, c, flags.at)
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
	if list.complete != nil {
		note, err := list.complete(cmd.Context(), c, items, sent)
		if err != nil {
			return err
		}
		more += note
	}
	if err := r.printTable(cmd.Context(), list.name, sent, func(now time.Time, color bool) table {
		return list.table(items, now, color)
	}); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, more)
	return nil
}
