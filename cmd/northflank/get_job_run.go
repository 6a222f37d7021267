package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/client"
)

// aliases are other names for flags, as the official command line has them.
var aliases = map[string]pflag.NormalizedName{
	"project": "projectId", "job": "jobId", "run": "runId", "team": "teamId",
}

// getJobRun is the command "northflank get job run".
type getJobRun struct {
	server         connectionFlags
	ref            client.RunRef
	output         string
	verbose, quiet bool
	wait           bool
	timeout        time.Duration // of the wait
	waitForStart   time.Duration // how long of it there may be no such run
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
		Example: `  northflank get job run --projectId default-project --jobId example-job --runId d34582a4-35bd-4c71-8e7c-e36999b88723
  northflank get job run --project default-project --job example-job --run d34582a4-35bd-4c71-8e7c-e36999b88723 -o json
  NORTHFLANK_API_TOKEN=secret northflank get job run --host http://127.0.0.1:8080 --project p --job j --run r --verbose
  northflank get job run --project p --job j --run r --wait --timeout 2h && echo the run has succeeded`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cmd.Flags().Changed("timeout") && !get.wait:
				return usagef("--timeout goes with --wait")
			case get.timeout <= 0:
				return usagef("--timeout %v: it has to be longer than nothing", get.timeout)
			case cmd.Flags().Changed("wait-for-start") && !get.wait:
				return usagef("--wait-for-start goes with --wait")
			case get.waitForStart < 0:
				return usagef("--wait-for-start %v: it must not be negative", get.waitForStart)
			}
			return get.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&get.ref.Project, "projectId", "", "`ID` of the project (or --project)")
	flags.StringVar(&get.ref.Job, "jobId", "", "`ID` of the job (or --job)")
	flags.StringVar(&get.ref.Run, "runId", "", "`ID` of the job run (or --run)")
	flags.StringVar(&get.ref.Team, "teamId", "", "`ID` of the team, if not the token's own (or --team)")
	flags.StringVarP(&get.output, "output", "o", "", "`format`, json or yaml; for people if left out")
	flags.BoolVar(&get.verbose, "verbose", false, "show request and response on standard error")
	flags.BoolVar(&get.quiet, "quiet", false, "print nothing, unless there is an error")
	flags.BoolVar(&get.wait, "wait", false, "wait until the run has concluded")
	flags.DurationVar(&get.timeout, "timeout", 30*time.Minute, "`duration` of the wait at most, such as 90s or 2h")
	flags.DurationVar(
		&get.waitForStart,
		"wait-for-start",
		30*time.Second,
		"with --wait, `duration` to wait at most for a run that is not there yet; 0 for not at all",
	)
	get.server.add(cmd, "API `token`")
	flags.SortFlags = false
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if full, ok := aliases[name]; ok {
			return full
		}
		return pflag.NormalizedName(name)
	})
	// Fails for a flag that does not exist only.
	_ = cmd.RegisterFlagCompletionFunc(
		"output",
		cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp),
	)
	return cmd
}

func (get *getJobRun) run(ctx context.Context) error {
	format, ok := formats[get.output]
	if !ok {
		return usagef("unknown output format %q: json and yaml are allowed", get.output)
	}
	conn, err := get.server.resolve()
	if err != nil {
		return err
	}
	ref, err := get.complete(conn.context)
	if err != nil {
		return err
	}
	c, err := conn.client()
	if err != nil {
		return err
	}
	see := get.once
	if get.wait {
		see = get.await
	}
	run, err := see(ctx, c, conn, ref)
	if run != nil && !get.quiet {
		text, err := format(run, time.Now(), colored(os.Stdout))
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(text); err != nil {
			return err
		}
	}
	return err
}

// once returns the run of the moment.
func (get *getJobRun) once(
	ctx context.Context,
	c *client.Client,
	conn connection,
	ref client.RunRef,
) (*client.JobRun, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run, resp, err := c.GetJobRun(ctx, ref)
	if get.verbose && resp != nil {
		fmt.Fprint(os.Stderr, trace(resp))
	}
	if err != nil {
		return nil, explainRun(err, resp, conn, ref)
	}
	return run, nil
}

// await returns the run that has concluded, or the last state seen, if any, with an error. That of
// a concluded run says by an [*outcome] how it was.
func (get *getJobRun) await(
	ctx context.Context,
	c *client.Client,
	conn connection,
	ref client.RunRef,
) (*client.JobRun, error) {
	ctx, cancel := context.WithTimeout(ctx, get.timeout)
	defer cancel()
	progress := newProgress(get.quiet)
	defer progress.stop()
	var trouble string
	var absent time.Time // when the first response said that there is no such run; zero if there is one
	run, resp, err := c.WaitForJobRun(ctx, ref, client.WaitForStart(get.waitForStart), client.OnState(progress.state),
		client.OnPause(func(resp *client.Response, err error, _ time.Duration) {
			if get.verbose && resp != nil {
				progress.print(trace(resp))
			}
			trouble = ""
			if err != nil {
				trouble = printable(explainRun(err, resp, conn, ref).Error())
			}
			switch {
			case err == nil:
				absent = time.Time{}
			case errors.Is(err, client.ErrNotFound):
				trouble = printable(fmt.Sprintf("%s has no %s yet", conn.host, describe(ref)))
				if absent.IsZero() {
					absent = time.Now()
				}
			}
			progress.request(trouble)
		}))
	late := errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil
	if get.verbose && resp != nil && !late {
		progress.print(trace(resp))
	}
	switch {
	case late:
		message := fmt.Sprintf("%s has not concluded after %v", describe(ref), get.timeout)
		if run == nil {
			message = fmt.Sprintf("%s has not said within %v how %s is doing", conn.host, get.timeout, describe(ref))
		}
		if trouble != "" {
			message += "; the last request failed: " + trouble
		}
		return run, &outcome{exitTimeout, message}
	case errors.Is(err, client.ErrNotFound) && !absent.IsZero():
		waited := time.Since(absent).Round(100 * time.Millisecond)
		return nil, explained(err, "%s has no %s after %v", conn.host, describe(ref), waited)
	case err != nil:
		return nil, explainRun(err, resp, conn, ref)
	case run.Status == client.JobRunStatusSuccess:
		return run, nil
	case run.Status == client.JobRunStatusFailed:
		return run, &outcome{status: exitFailed}
	}
	return run, fmt.Errorf("%s has concluded with the status %q", describe(ref), run.Status)
}

// complete fills in the defaults, and names what is still missing.
func (get *getJobRun) complete(defaults savedContext) (client.RunRef, error) {
	ref := get.ref
	if ref.Project == "" {
		ref.Project = defaults.Project
	}
	if ref.Job == "" {
		ref.Job = defaults.Job
	}
	var missing []string
	for _, flag := range []struct{ name, value string }{
		{"--projectId", ref.Project}, {"--jobId", ref.Job}, {"--runId", ref.Run},
	} {
		if flag.value == "" {
			missing = append(missing, flag.name+" ID")
		}
	}
	if missing != nil {
		return ref, usagef("missing %s", strings.Join(missing, " "))
	}
	return ref, nil
}

// explainRun says in the user's terms why there is no run to show.
func explainRun(err error, resp *client.Response, conn connection, ref client.RunRef) error {
	switch {
	case errors.Is(err, client.ErrNotFound):
		return explained(err, "%s has no %s", conn.host, describe(ref))
	case errors.Is(err, client.ErrForbidden):
		return explained(err, "%s does not let the token of %s see %s", conn.host, conn.tokenFrom, describe(ref))
	}
	return explain(err, resp, conn)
}

// describe names the run in a sentence.
func describe(ref client.RunRef) string {
	run := fmt.Sprintf("run %q of job %q in project %q", ref.Run, ref.Job, ref.Project)
	if ref.Team != "" {
		run += fmt.Sprintf(" of team %q", ref.Team)
	}
	return run
}
