// Command jobrun runs a command as a run of a job, and records it.
package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/cmd/internal/size"
	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/command"
)

func main() { cli.Main(newRoot()) }

// newRoot returns the program's command. It has no commands below it: a word after the flags is the
// command to run, whatever it is called.
func newRoot() *cobra.Command {
	var c command.Command
	var quiet bool
	var keep size.Value
	root := &cobra.Command{
		Use:   "jobrun --project P --job J [flags] [--] COMMAND [ARG...]",
		Short: "Run a command as a run of a job, and record it",
		Long: `Run a command and record it as a run of a job: when it starts, after each attempt,
and when it ends. The id of the run is printed on standard error once the run is stored,
or once that has failed.

The command has the standard streams to itself. It gets each signal once, also one that
is sent to the whole process group: a process called signal-witness, which jobrun starts
for a command that takes more than a moment, tells the two apart. What was ignored or
closed at the start stays so (only SIGHUP and SIGINT, except on Linux with amd64).

The exit status is that of the last attempt: 127 if the command does not exist, 128+n if
signal n ended it. The command runs even if the store cannot be written; a warning on
standard error says so, and recording is tried again until 9 seconds after the command,
or after the signal that asked it to end. Then a line for "jobrund import" is printed.

A failed attempt is followed by another up to --backoff-limit times, unless a signal
asked to end.

With --keep-output, the end of what the command prints is stored with the run, of both
streams as it comes, for tokens with the permission for logs to read. The command then
prints into pipes, also where this program prints to a terminal, and jobrun passes
everything on at once. What the command leaves running can print only for a moment more.

The command finds its run in the environment variables JOBRUN_ID, JOBRUN_TEAM,
JOBRUN_PROJECT and JOBRUN_JOB. A jobrun that it starts takes the last three as it takes
every flag but --run: from the environment variable that the flag's help names.`,
		Example: `  jobrun --project default-project --job nightly-backup -- ./backup.sh --full
  jobrun --project p --job sync --backoff-limit 3 --backoff 30s -- rsync -a a/ b/
  jobrun --project p --job report --run report-2026-11-25 --quiet -- ./report.sh`,
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
			if keep > command.MaxKeepOutput {
				return cli.Usagef("--keep-output %s: must be at most %s", keep, size.Value(command.MaxKeepOutput))
			}
			c.KeepOutput = int(keep)
			if cmd.Flag(runFlag).Changed {
				if err := cli.CheckID(runFlag, c.ID); err != nil {
					return err
				}
			}
			return record(cmd, &c, quiet)
		},
	}
	flags := root.Flags()
	flags.SetInterspersed(false) // what follows the command is the command's
	flags.StringVar(&c.Project, "project", "", "project that the job belongs to (required)")
	flags.StringVar(&c.Job, "job", "", "job that this is a run of (required)")
	flags.StringVar(&c.Team, "team", jobrun.DefaultTeam, "team that the project belongs to")
	flags.IntVar(&c.BackoffLimit, "backoff-limit", 0, "how many times a failed attempt is followed by another")
	c.Backoff = 10 * time.Second
	flags.Var((*duration.Value)(&c.Backoff), "backoff", "delay before the second attempt; doubles each time, up to 6m")
	flags.StringVar(&c.ID, runFlag, "", "id of the run, which no run of the job may have yet (a new UUID unless given)")
	flags.Var(&keep, "keep-output", "how much to keep of what the command prints, from the end, such as 16KiB; at most 1MiB")
	flags.BoolVar(&quiet, "quiet", false, "print nothing unless something is wrong")
	flags.String(cli.StoreFlag, cli.DefaultStore, cli.StoreUsage)
	cli.Require(root, "project", "job")
	version.Add(root)
	cli.Prepare(root, variables)
	return root
}

// runFlag is the flag for a chosen id.
const runFlag = "run"

// variables returns the environment variables of a flag. The store of jobrund counts if jobrun's
// own is not set, so that one file of settings serves both. The id of a run has none, because a
// jobrun that the command starts would find it too.
func variables(flag string) []string {
	if flag == runFlag {
		return nil
	}
	names := []string{cli.Variable("jobrun", flag)}
	if flag == cli.StoreFlag {
		names = append(names, cli.Variable("jobrund", flag))
	}
	return names
}
