package jobrund

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/command"
	"github.com/jobruns/jobruns/server/store"
)

// NewExec returns the command exec, for stores of the engines. For any other store, the command
// calls elsewhere first, which may be nil, and goes on where that returns: the command runs even if it cannot be recorded.
func NewExec(elsewhere func(), engines ...store.Engine) *cobra.Command {
	var c command.Command
	cmd := &cobra.Command{
		Use:   "exec --project P --job J [flags] [--] COMMAND [ARG...]",
		Short: "Run a command as a run of a job, and record it",
		Long: `Run a command and record it as a run of a job: when it starts, after each attempt,
and when it ends. The id of the run is printed on standard error.

The command has the standard streams to itself and gets the signals. The exit status
is that of its last attempt: 127 if the command does not exist, 128+n if signal n
ended it. The command runs even if the store cannot be written; a warning on standard
error says so, and recording is tried again until 10 seconds after the command.

A failed attempt is followed by another up to --backoff-limit times, unless a signal
asked to end.`,
		Example: `  jobrund exec --project default-project --job nightly-backup -- ./backup.sh --full
  jobrund exec --project p --job sync --backoff-limit 3 --backoff 30s -- rsync -a a/ b/`,
		Args: Arguments(1, "COMMAND", "ARG..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Args = args
			for _, flag := range []struct{ name, value string }{{"team", c.Team}, {"project", c.Project}, {"job", c.Job}} {
				if err := CheckID(flag.name, flag.value); err != nil {
					return err
				}
			}
			if c.BackoffLimit < 0 || c.Backoff < 0 {
				return Usagef("--backoff-limit and --backoff must not be negative")
			}
			if elsewhere != nil && !store.Takes(storeURL(cmd), engines...) {
				elsewhere()
			}
			return runCommand(cmd, &c, engines)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the command is the command's
	flags.StringVar(&c.Project, "project", "", "project that the job belongs to (required)")
	flags.StringVar(&c.Job, "job", "", "job that this is a run of (required)")
	flags.StringVar(&c.Team, "team", jobrun.DefaultTeam, "team that the project belongs to")
	flags.IntVar(&c.BackoffLimit, "backoff-limit", 0, "how many times a failed attempt is followed by another")
	flags.DurationVar(&c.Backoff, "backoff", 10*time.Second, "delay before the second attempt; doubles each time, up to 6m")
	Require(cmd, "project", "job")
	return cmd
}

// runCommand returns the command's exit status as an error.
func runCommand(cmd *cobra.Command, c *command.Command, engines []store.Engine) error {
	var recorded jobrun.Record // the latest state
	var announce sync.Once
	c.Warn = func(err error) { fmt.Fprintf(os.Stderr, "jobrund: %v\n", err) }
	recorder := command.NewRecorder(
		func(context.Context) (command.Runs, error) { return OpenStore(cmd, engines...) },
		func(err error) {
			fmt.Fprintf(os.Stderr, "jobrund: the run cannot be recorded yet, it runs all the same: %v\n", err)
		})
	c.Record = func(r jobrun.Record) {
		announce.Do(func() { fmt.Fprintf(os.Stderr, "jobrund: run %s\n", r.Run.ID) })
		recorded = r
		recorder.Record(r)
	}
	status := c.Run()
	if err := recorder.Close(); err != nil {
		line, lineErr := recorded.MarshalLine()
		fmt.Fprintf(os.Stderr, "jobrund: the run could not be recorded: %v\njobrund: keep this line for \"jobrund import\":\n%s\n",
			errors.Join(err, lineErr), line)
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
