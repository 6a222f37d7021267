package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

func newGetJob() *cobra.Command {
	var r request
	cmd := &cobra.Command{
		Use:     "job",
		Aliases: []string{"jobs"},
		Short:   "Show the details of a job, or something about it",
		Long: `Show the details of a job: its latest run, its latest success and failure, how many runs have failed since the
success, and how many are running. "northflank list jobs" lists the jobs of a project.

The server and the token are looked for like those of "northflank get job run", and what is missing is asked for in the
same way. -o json and -o yaml print what the server sent. The exit status is 0 whatever the state of the job, 1 for an
error and 2 for a wrong command line.`,
		Example: `  northflank get job --projectId default-project --jobId example-job
  northflank get job --project default-project --job example-job -o json --jq .state.failuresInARow`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.open(cmd.Context(), needsJob); err != nil {
				return err
			}
			return r.getJob(cmd.Context())
		},
	}
	r.addFlags(cmd, needsJob)
	cmd.AddCommand(newGetJobRun(), newGetJobRuns(), newGetJobLogs())
	return cmd
}

func (r *request) getJob(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	job, resp, err := r.client.GetJob(ctx, r.job())
	r.trace(resp)
	if err != nil {
		return r.userError(err, resp)
	}
	sent, err := sentData(resp)
	if err != nil {
		return err
	}
	return r.print(ctx, sent, func(now time.Time, color bool) string { return jobSummary(job, now, color) })
}

// jobSummary is the job for people. The Northflank API does not send the state.
func jobSummary(job *client.JobDetail, now time.Time, color bool) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Job\t%s\n", escape(job.ID))
	fmt.Fprintf(w, "Project\t%s\n", escape(job.ProjectID))
	fmt.Fprintf(w, "Type\t%s\n", escape(string(job.JobType)))
	fmt.Fprintf(w, "Created\t%s\n", moment(job.CreatedAt, now))
	if latest := &job.State.LatestRun; latest.ID != "" {
		fmt.Fprintf(w, "Latest run\t%s%s: %s\n", paint(latest.Status, color), lasting(latest, now), escape(latest.ID))
		fmt.Fprintf(w, "Latest start\t%s\n", moment(latest.StartedAt, now))
		fmt.Fprintf(w, "Latest success\t%s\n", concluded(job.State.LatestSuccess, now))
		fmt.Fprintf(w, "Latest failure\t%s\n", concluded(job.State.LatestFailure, now))
		fmt.Fprintf(w, "Failures in a row\t%d\n", job.State.FailuresInARow)
		fmt.Fprintf(w, "Running\t%d\n", job.State.Running)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// concluded tells when a run ended, and its ID. The run may be nil.
func concluded(run *client.ConcludedRun, now time.Time) string {
	if run == nil {
		return "none"
	}
	return moment(run.ConcludedAt, now) + ": " + escape(run.ID)
}
