// Command jobrun runs a command as a run of a job, and records it.
//
// The command comes first. It starts before jobrun talks to a server, and neither the server's state
// nor a missing token changes its streams, its signals or its exit status. A run that no server
// accepts goes to a spool, from which a later jobrun delivers it.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/cmd/internal/size"
	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	// runFlag and flushFlag have no environment variable: a jobrun that the command starts would
	// read it too.
	runFlag, flushFlag = "run", "flush"
	// maxBackoffLimit is the bound of the contract.
	maxBackoffLimit = 1_000_000
	// messageLimit bounds how long jobrun waits at its end for the reader of its messages.
	messageLimit = 800 * time.Millisecond
)

func main() { cli.Main(newRoot()) }

// options are the values of the flags.
type options struct {
	command
	server, tokenFile, caCert string
	spool                     spool
	team, project, job, id    string
	keep                      size.Value
	deliverWithin             time.Duration
	quiet, flush              bool
}

// newRoot returns the program's command. It has no subcommands: a word after the flags is the command
// to run, whatever its name is.
func newRoot() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:   "jobrun --project P --job J [flags] [--] COMMAND [ARG...]",
		Short: "Run a command as a run of a job, and record it",
		Long: `Run a command, and report to a jobruns server when it starts, after each attempt, every
30 seconds, and when it ends. The command starts at once and does not wait for the
server. jobrun prints the ID of the run on standard error when the server has it.

jobrun exits with the status of the last attempt: 127 if the command does not exist, 126
if it cannot be executed, 128+n if signal n ended it.

SERVER AND TOKEN. The token needs the permission to record. It is read from --token-file,
else from $JOBRUN_TOKEN, which the command does not inherit, else from
~/.config/jobruns/token or /etc/jobruns/token. Without a token, the command runs anyway.

SPOOL. If no server accepts the end of a run within a second, jobrun writes it to a file
in the spool, and tries again for 9 seconds, or as long as --deliver-within allows. The
next jobrun with the same server and token delivers the file, and so does
"jobrun --flush". In a container, mount a volume for the spool or use --deliver-within.
If the spool is full or cannot be written, jobrun prints the record as one line of JSON,
which "jobrun --flush -" reads from standard input.

ATTEMPTS. A failed attempt is followed by another up to --backoff-limit times. A signal
that asks jobrun to end, and --timeout, prevent further attempts.

SIGNALS. jobrun passes signals on to the command, except those that a terminal sends to
both. A signal that is sent to the whole process group reaches the command twice: in a
systemd unit, use KillMode=mixed. --timeout sends TERM to the command and its children,
then KILL, as timeout(1) does; in the foreground of a terminal only to the command. The
run then fails, with the status 124 if the command exits with 0. Signals that were
ignored when jobrun started stay ignored only if they are HUP or INT.

OUTPUT. The command uses the standard streams of jobrun. With --keep-output, it prints to
pipes instead, and jobrun passes everything on at once and reports the last lines, at
most 1000, as a terminal shows them. If jobrun cannot write, it closes the pipe, so that
the command fails; if it has already ended, the run fails with status 1. Processes that
the command leaves running lose their output a moment after the command has ended.

The command finds its run in $JOBRUN_ID, $JOBRUN_PROJECT, $JOBRUN_JOB and, if it is
known, $JOBRUN_TEAM. A jobrun that it starts uses the last three as defaults.`,
		Example: `  jobrun --project web --job backup -- ./backup.sh --full
  jobrun --project web --job sync --timeout 2h --backoff-limit 3 -- rsync -a a/ b/
  jobrun --project web --job report --keep-output 16KiB --quiet -- ./report.sh
  flock -n /run/lock/report jobrun --project web --job report -- ./report.sh
  jobrun --flush`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.flush {
				if len(args) > 1 || len(args) == 1 && args[0] != "-" {
					return errors.New("--flush has no argument but -")
				}
				return nil
			}
			return cli.Arguments(1, "COMMAND", "ARG...")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := newServer(o.server, o.tokenFile, o.caCert)
			if err != nil {
				return err
			}
			if o.spool.folder == "" {
				o.spool.folder = defaultSpool()
			}
			if o.flush {
				return o.flushSpool(cmd.Context(), server, len(args) > 0)
			}
			if err := o.check(cmd); err != nil {
				return err
			}
			o.args = args
			return o.record(server)
		},
	}
	flags := root.Flags()
	flags.SetInterspersed(false) // what follows the command is the command's
	flags.StringVar(&o.project, "project", "", "project that the job belongs to (required)")
	flags.StringVar(&o.job, "job", "", "job that this is a run of (required)")
	flags.StringVar(&o.team, "team", "", "team that the project belongs to (default: the team of the token)")
	flags.StringVar(&o.id, runFlag, "", "ID of the run, which no run of the job has yet (default: a new UUID)")
	flags.StringVar(&o.server, "server", "", "URL of the server "+
		"(default: unix:///run/jobruns/jobrund.sock if /run/jobruns exists, else "+localServer+")")
	flags.StringVar(&o.tokenFile, "token-file", "", "file that contains the token")
	flags.StringVar(&o.caCert, "ca-cert", "", "file with the certificates of the authorities to trust, in PEM")
	flags.StringVar(&o.spool.folder, "spool", "", "folder for runs that no server has accepted "+
		"(default: /var/spool/jobrun for root, else ~/.local/state/jobrun)")
	flags.Var((*duration.Value)(&o.deliverWithin), "deliver-within", "how long to try to report the end (default 9s)")
	flags.IntVar(&o.backoffLimit, "backoff-limit", 0, "how many times a failed attempt is followed by another")
	o.backoff, o.killAfter = 10*time.Second, 10*time.Second
	flags.Var((*duration.Value)(&o.backoff), "backoff", "delay before the second attempt; doubles each time, up to 6m")
	flags.Var((*duration.Value)(&o.timeout), "timeout", "time limit of all attempts together (default: none)")
	flags.Var((*duration.Value)(&o.killAfter), "kill-after", "delay between TERM and KILL when the time is over")
	flags.Var(&o.keep, "keep-output", "how much to report of what the command prints, from the end, such as 16KiB; "+
		"at most 256KiB")
	flags.BoolVar(&o.quiet, "quiet", false, "print nothing unless something is wrong")
	flags.BoolVar(&o.flush, flushFlag, false, "deliver the spool, or with the argument - the records on standard input; "+
		"exit with 1 unless all are delivered")
	version.Add(root)
	cli.Prepare(root, func(flag string) []string {
		if flag == runFlag || flag == flushFlag {
			return nil
		}
		return []string{cli.Variable("jobrun", flag)}
	})
	return root
}

// check checks the flags of a run.
func (o *options) check(cmd *cobra.Command) error {
	for _, id := range []struct{ flag, value string }{
		{"project", o.project}, {"job", o.job}, {"team", o.team}, {runFlag, o.id},
	} {
		optional := id.flag == "team" || id.flag == runFlag && !cmd.Flag(runFlag).Changed
		if id.value == "" && optional {
			continue
		}
		if err := cli.CheckID(id.flag, id.value); err != nil {
			return err
		}
	}
	if o.backoffLimit < 0 || o.backoffLimit > maxBackoffLimit {
		return cli.Usagef("--backoff-limit must be from 0 to %d", maxBackoffLimit)
	}
	return nil
}

// record runs and records the command, and returns its exit status as an error.
func (o *options) record(to server) error {
	say := newMessages()
	defer say.flush(messageLimit)
	host, _ := os.Hostname() // "" if it has no name
	run := jobrun.Record{Team: o.team, Project: o.project, Job: o.job, Run: model.JobRun{
		ID: o.id, RunName: o.job + "-" + randomHex(), BackoffLimit: o.backoffLimit,
		StartedAt: time.Now().UTC().Truncate(time.Second),
	}, Outcome: jobrun.NewOutcome(host)}
	if run.Run.ID == "" {
		run.Run.ID = uuid.NewString()
	}
	reporter := &reporter{
		times: defaultTimes, server: to, spool: o.spool, say: say, quiet: o.quiet,
		ref: client.RunRef{Team: o.team, Project: o.project, Job: o.job, Run: run.Run.ID},
	}
	reporter.deliver = cmp.Or(o.deliverWithin, reporter.deliver)
	if o.keep > 0 {
		o.output = &lines{limit: min(int(o.keep), maxBody)}
	}
	o.env = environment(os.Environ(), run)
	o.signals, o.say, o.changed = catchSignals(), say, reporter.change
	reporter.begin(run)
	status := o.run(&run)
	reporter.finish(run, o.output.all(), o.signals)
	if status != 0 {
		return cli.ExitStatus(status)
	}
	return nil
}

// flushSpool delivers the spool, or the records on standard input.
func (o *options) flushSpool(ctx context.Context, from server, input bool) (err error) {
	say := newMessages()
	defer say.flush(messageLimit)
	d := &deliverer{
		server: from, recorders: map[server]recorder{}, down: map[server]error{},
		try: defaultTimes.try, say: say, others: true, quiet: o.quiet,
	}
	var left int
	if input {
		left, err = d.sendLines(ctx, os.Stdin)
	} else {
		left, err = o.spool.deliver(ctx, d, unix.LOCK_EX)
	}
	if err == nil && left > 0 {
		err = cli.ExitStatus(1)
	}
	return err
}

// randomHex distinguishes names. The reference's example of a run's name has this form.
func randomHex() string {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return hex.EncodeToString(random[:])
}
