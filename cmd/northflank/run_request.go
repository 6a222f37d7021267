package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// runRequest is what the commands about one run have in common.
type runRequest struct {
	request
	latest  bool // the newest run of the job is meant
	verbose bool
}

func (r *runRequest) addFlags(cmd *cobra.Command) {
	r.request.addFlags(cmd, needsRun)
	cmd.Flags().BoolVar(&r.latest, "latest", false, "the run of the job that started last, instead of --runId")
	cmd.Flags().BoolVar(&r.verbose, "verbose", false, "show request and response on standard error")
}

// open makes a client, and asks on a terminal for what is missing of the run.
func (r *runRequest) open(ctx context.Context) (*client.Client, connection, error) {
	if r.latest && r.ref.Run != "" {
		return nil, connection{}, usagef("--latest does not go with --runId")
	}
	c, conn, err := r.request.open()
	if err != nil {
		return nil, conn, err
	}
	level := needsRun
	if r.latest {
		level = needsJob
	}
	return c, conn, r.choose(ctx, c, conn, level)
}

// newest returns the run of the job that started last.
func (r *runRequest) newest(
	ctx context.Context,
	c *client.Client,
	conn connection,
) (*client.JobRun, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run, resp, err := c.LatestJobRun(ctx, r.job())
	r.trace(resp)
	if err != nil {
		return nil, nil, explainRef(err, resp, conn, r.ref)
	}
	return run, resp, nil
}

// trace shows a response, which may be nil, with --verbose.
func (r *runRequest) trace(resp *client.Response) {
	if r.verbose && resp != nil {
		fmt.Fprint(os.Stderr, trace(resp))
	}
}
