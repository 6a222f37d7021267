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

	outcomes outcomeFlag
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
	l.outcomes.add(cmd)
	cmd.Flags().IntVar(&l.limit, "limit", 100, "`number` of runs at the most; 0 for no limit")
	return cmd
}

func (l *listRuns) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
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
	var why *reasons
	if l.outcomes.wanted(cmd, &l.request, opts) {
		why = findReasons(ctx, c, len(runs), l.outcomes.most(cmd), func(i int) (*client.JobRun, client.RunRef) {
			ref := client.RunRef{Team: l.ref.Team, Project: l.ref.Project, Job: runs[i].jobID, Run: runs[i].ID}
			return &runs[i].JobRun, ref
		})
		if err := why.addTo(sent); err != nil {
			return err
		}
	}
	if err := l.printTable(ctx, "runs", sent, func(now time.Time, color bool) table {
		return listedTable(runs, now, color).withReasons(why)
	}); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, why.note())
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
