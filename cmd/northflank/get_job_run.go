package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/duration"
)

// getJobRun is the command "northflank get job run".
type getJobRun struct {
	runRequest
	outcome      bool
	wait         bool
	timeout      time.Duration // of the wait
	waitForStart time.Duration // how long of it there may be no such run
}

func newGetJobRun() *cobra.Command {
	var get getJobRun
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Show the details of a job run",
		Long: `Show the details of a job run: how it is doing, since when, and for how long.

The server and the token are looked for one by one: in --host and --token, then in NORTHFLANK_HOST and
NORTHFLANK_API_TOKEN, then in the current context of ~/.northflank/config.json, which "northflank login" writes. Where
nothing names a server, it is ` + defaultHost + `. A token that lies beside a host, in the environment or in a
context, is sent to that host only. A context for the same server gives the project and the job where there are none.

On a terminal, the project, the job and the run are asked for where they are missing: arrow keys move, and what is
typed filters. --latest is the run of the job that started last.

Of a run that has failed it says why, on which host and in which attempt, where the server knows, and shows the last
lines of output, where they are recorded and the token may read them: "northflank get job logs" shows all of them.
--outcome says of any run why it ended as it did, and of each of its attempts.

-o json and -o yaml print for programs what the server sent. --outcome adds the member outcome: the reason, a message,
exit status, signal, host and attempts, or null where the server does not say. -o json --jq EXPRESSION prints what jq's
language makes of it, a line for each result, strings without quotes.

Requests that the server is too busy for are made again, for a minute at most.

With --wait the result is printed when the run has concluded. Until then standard error tells how it is doing: on a
terminal in a line that changes, elsewhere with a line for each change. Network trouble and restarts of the server do
not end the wait. After --timeout the result is the last state seen. A run that is not there yet, because its recorder
comes a moment later, is waited for as long as --wait-for-start says. The exit status, with any output, is

    0    if the run has succeeded
    3    if it has failed
    4    if it has not concluded in time
    1    for any other error
    2    for a wrong command line
  130    after Ctrl-C`,
		Example: `  northflank get job run
  northflank get job run --projectId default-project --jobId example-job --latest
  northflank get job run --projectId default-project --jobId example-job --runId d34582a4-35bd-4c71-8e7c-e36999b88723
  northflank get job run --project default-project --job example-job --latest -o json --jq .status
  northflank get job run --project default-project --job example-job --latest --outcome -o json --jq .outcome.exitStatus
  NORTHFLANK_API_TOKEN=secret northflank get job run --host http://127.0.0.1:8080 --project p --job j --run r --verbose
  northflank get job run --project p --job j --run r --wait --timeout 2h && echo the run has succeeded`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cmd.Flags().Changed("timeout") && !get.wait:
				return usagef("--timeout goes with --wait")
			case get.timeout == 0:
				return usagef("--timeout 0: must be positive")
			case cmd.Flags().Changed("wait-for-start") && !get.wait:
				return usagef("--wait-for-start goes with --wait")
			}
			return get.run(cmd.Context())
		},
	}
	get.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&get.outcome, "outcome", false, "say why the run ended as it did, of any run and in any format")
	flags.BoolVar(&get.wait, "wait", false, "wait until the run has concluded")
	get.timeout, get.waitForStart = 30*time.Minute, 30*time.Second
	flags.Var((*duration.Value)(&get.timeout), "timeout", "`duration` of the wait at most, such as 90s, 2h or 1d12h")
	flags.Var(
		(*duration.Value)(&get.waitForStart),
		"wait-for-start",
		"with --wait, `duration` to wait at most for a run that is not there yet; 0 for not at all",
	)
	return cmd
}

func (get *getJobRun) run(ctx context.Context) error {
	if err := get.open(ctx); err != nil {
		return err
	}
	run, resp, err := get.see(ctx)
	if run != nil && !get.quiet {
		if err := get.show(ctx, run, resp); err != nil {
			return err
		}
	}
	return err
}

// see returns the run and the response that contains it. With an error, the run may be the last state
// seen.
func (get *getJobRun) see(ctx context.Context) (*client.JobRun, *client.Response, error) {
	if get.latest {
		run, resp, err := get.newest(ctx)
		if err != nil || !get.wait {
			return run, resp, err
		}
		get.ref.Run = run.ID
	}
	if get.wait {
		return get.await(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run, resp, err := get.client.GetJobRun(ctx, get.ref)
	get.trace(resp)
	if err != nil {
		return nil, nil, get.userError(err, resp)
	}
	return run, resp, nil
}

// await returns the concluded run, or the last state seen, if any, with an error. For a run that
// failed, the error is an [*exitStatus] too.
func (get *getJobRun) await(ctx context.Context) (*client.JobRun, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, get.timeout)
	defer cancel()
	progress := newProgress(get.quiet)
	defer progress.stop()
	name := nameOf(get.ref)
	var trouble string
	var absent time.Time // when the server first said that there is no such run; zero if there is one
	run, resp, err := get.client.WaitForJobRun(ctx, get.ref,
		client.WaitForStart(get.waitForStart), client.OnState(progress.state),
		client.OnPause(func(resp *client.Response, err error, _ time.Duration) {
			if get.verbose && resp != nil {
				progress.print(trace(resp))
			}
			switch {
			case err == nil:
				trouble, absent = "", time.Time{}
			case errors.Is(err, client.ErrNotFound):
				trouble = escape(fmt.Sprintf("%s has no %s yet", get.conn.host, name))
				if absent.IsZero() {
					absent = time.Now()
				}
			default:
				trouble = escape(get.userError(err, resp).Error())
			}
			progress.request(trouble)
		}))
	late := errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil
	if get.verbose && resp != nil && !late {
		progress.print(trace(resp))
	}
	switch {
	case late:
		limit := duration.Format(get.timeout)
		message := fmt.Sprintf("%s has not concluded after %s", name, limit)
		if run == nil {
			message = fmt.Sprintf("%s has not said within %s how %s is doing", get.conn.host, limit, name)
		}
		if trouble != "" {
			message += "; the last request failed: " + trouble
		}
		return run, resp, &exitStatus{exitTimeout, message}
	case errors.Is(err, client.ErrNotFound) && !absent.IsZero():
		waited := time.Since(absent).Round(100 * time.Millisecond)
		return nil, nil, get.conn.errorf(err, "%s has no %s after %v", get.conn.host, name, waited)
	case err != nil:
		return nil, nil, get.userError(err, resp)
	case run.Status == client.JobRunStatusSuccess:
		return run, resp, nil
	case run.Status == client.JobRunStatusFailed:
		return run, resp, &exitStatus{status: exitFailed}
	}
	return run, resp, fmt.Errorf("%s has concluded with the status %q", name, run.Status)
}
