// Command jobrun runs a command as a run of a job, and records it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/command"
)

func main() {
	// The store's warnings look like the program's own.
	log.SetFlags(0)
	log.SetPrefix("jobrun: ")
	cli.Main(newRoot())
}

// newRoot returns the program's command. It has no commands below it: a word after the flags is the
// command to run, whatever it is called.
func newRoot() *cobra.Command {
	var c command.Command
	root := &cobra.Command{
		Use:   "jobrun --project P --job J [flags] [--] COMMAND [ARG...]",
		Short: "Run a command as a run of a job, and record it",
		Long: `Run a command and record it as a run of a job: when it starts, after each attempt,
and when it ends. The id of the run is printed on standard error.

The command has the standard streams to itself and gets the signals. The exit status
is that of its last attempt: 127 if the command does not exist, 128+n if signal n
ended it. The command runs even if the store cannot be written; a warning on standard
error says so, and recording is tried again until 10 seconds after the command.

A failed attempt is followed by another up to --backoff-limit times, unless a signal
asked to end.

Every flag can also be given as an environment variable, which its help names.`,
		Example: `  jobrun --project default-project --job nightly-backup -- ./backup.sh --full
  jobrun --project p --job sync --backoff-limit 3 --backoff 30s -- rsync -a a/ b/`,
		Args: cli.Arguments(1, "COMMAND", "ARG..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Args = args
			for _, flag := range []struct{ name, value string }{{"team", c.Team}, {"project", c.Project}, {"job", c.Job}} {
				if err := cli.CheckID(flag.name, flag.value); err != nil {
					return err
				}
			}
			if c.BackoffLimit < 0 || c.Backoff < 0 {
				return cli.Usagef("--backoff-limit and --backoff must not be negative")
			}
			return record(cmd, &c)
		},
	}
	flags := root.Flags()
	flags.SetInterspersed(false) // what follows the command is the command's
	flags.StringVar(&c.Project, "project", "", "project that the job belongs to (required)")
	flags.StringVar(&c.Job, "job", "", "job that this is a run of (required)")
	flags.StringVar(&c.Team, "team", jobrun.DefaultTeam, "team that the project belongs to")
	flags.IntVar(&c.BackoffLimit, "backoff-limit", 0, "how many times a failed attempt is followed by another")
	flags.DurationVar(
		&c.Backoff,
		"backoff",
		10*time.Second,
		"delay before the second attempt; doubles each time, up to 6m",
	)
	flags.String(cli.StoreFlag, cli.DefaultStore, cli.StoreUsage)
	cli.Require(root, "project", "job")
	version.Add(root)
	cli.Prepare(root, variables)
	return root
}

// variables returns the environment variables of a flag. The store of jobrund counts if jobrun's
// own is not set, so that one file of settings serves both.
func variables(flag string) []string {
	names := []string{cli.Variable("jobrun", flag)}
	if flag == cli.StoreFlag {
		names = append(names, cli.Variable("jobrund", flag))
	}
	return names
}

// record runs and records the command, and returns its exit status as an error.
func record(cmd *cobra.Command, c *command.Command) error {
	var recorded jobrun.Record // the latest state
	var announce sync.Once
	c.Warn = func(err error) { fmt.Fprintf(os.Stderr, "jobrun: %v\n", err) }
	recorder := command.NewRecorder(
		func(ctx context.Context) (command.Runs, error) {
			return cli.OpenStore(ctx, cmd, func(path string) {
				fmt.Fprintf(os.Stderr, "jobrun: recording in new store %s\n", path)
			})
		},
		func(err error) {
			fmt.Fprintf(os.Stderr, "jobrun: the run cannot be recorded yet, it runs all the same: %v\n", err)
		})
	c.Record = func(r jobrun.Record) {
		announce.Do(func() { fmt.Fprintf(os.Stderr, "jobrun: run %s\n", r.Run.ID) })
		recorded = r
		recorder.Record(r)
	}
	status := c.Run()
	if err := recorder.Close(); err != nil {
		line, lineErr := recorded.MarshalLine()
		fmt.Fprintf(
			os.Stderr,
			"jobrun: the run could not be recorded: %v\njobrun: keep this line for \"jobrund import\":\n%s\n",
			errors.Join(err, lineErr),
			line,
		)
	}
	if status != 0 {
		return cli.ExitStatus(status)
	}
	return nil
}
