package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// logsPermission is what a token needs to read logs.
const logsPermission = "Project > Jobs > Deployment > View Instance Logs"

// getJobLogs is the command "northflank get job logs".
type getJobLogs struct {
	runRequest
	lineLimit int
	direction string
}

func newGetJobLogs() *cobra.Command {
	var get getJobLogs
	cmd := &cobra.Command{
		Use:     "logs",
		Aliases: []string{"log"},
		Short:   "Show the log of a job run",
		Long: `Show the last lines that the command of a job run printed, on both of its streams, when the run has concluded.
Each line has its time and the host in front. The lines are there if the run's recorder was asked to keep them:
"jobrun --keep-output 16KiB". The token needs the permission "` + logsPermission + `",
which "jobrund token create --permission" gives.

In a file or a pipe, the lines are as the command printed them. On a terminal, characters that the terminal would act
upon are escaped. -o json and -o yaml print what the server sent, and -o json --jq '.[].log' only the lines.

--lineLimit limits the lines to the oldest ones. --direction backward begins with the latest line, so that both flags
together show the last lines.

The server and the token are looked for like those of "northflank get job run", and what is missing is asked for in the
same way. Without a terminal, the run is by default the one that started last. The exit status is 0 if there are lines,
1 if there are none or for any other error, and 2 for a wrong command line.`,
		Example: `  northflank get job logs
  northflank get job logs --projectId default-project --jobId example-job --latest
  northflank get job logs --project p --job j --run r --direction backward --lineLimit 10
  northflank get job logs --project p --job j --run r -o json --jq '.[].log' > output.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("lineLimit") && get.lineLimit < 1 {
				return usagef("--lineLimit %d: must be positive", get.lineLimit)
			}
			if get.direction != "" && !client.LogDirection(get.direction).Valid() {
				return usagef("--direction %q: %s are allowed", get.direction, strings.Join(directions, ", "))
			}
			return get.run(cmd.Context())
		},
	}
	get.addFlags(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (a log is there when its run has concluded: this program cannot tail it, filter it by text, or "+
			"cut it by time)", err)
	})
	flags := cmd.Flags()
	flags.IntVarP(&get.lineLimit, "lineLimit", "l", 0, "`number` of lines at most; as many as the server sends if left out")
	flags.StringVarP(&get.direction, "direction", "d", "", "`order` of the lines: forward, the oldest first, or backward")
	complete(cmd, "direction", cobra.FixedCompletions(directions, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var directions = []string{string(client.LogDirectionForward), string(client.LogDirectionBackward)}

func (get *getJobLogs) run(ctx context.Context) error {
	if get.format == "format" { // the default of the official command line
		get.format = ""
	}
	get.latest = get.latest || get.ref.Run == "" && !interactive()
	if err := get.open(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	lines, resp, err := get.client.GetJobLogs(ctx, get.job(), client.JobLogsOptions{
		Run: get.ref.Run, LineLimit: get.lineLimit, Direction: client.LogDirection(get.direction),
	})
	get.trace(resp)
	host, name := get.conn.host, nameOf(get.ref)
	switch {
	case errors.Is(err, client.ErrForbidden):
		err = get.conn.errorf(err, "%s does not let the token of %s see the log of %s", host, get.conn.tokenFrom, name)
		return fmt.Errorf(`%w; jobrund token create --permission "%s" makes one that may`, err, logsPermission)
	case err != nil:
		return get.userError(err, resp)
	case len(lines) == 0 && get.format == "":
		return fmt.Errorf("%s has no log of %s: jobrun --keep-output 16KiB -- COMMAND sends the last lines "+
			"when the run concludes", host, name)
	}
	sent, err := sentData(resp)
	if err != nil {
		return err
	}
	return get.print(ctx, sent, func(time.Time, bool) string { return formatLog(lines) })
}

// formatLog returns the lines like the official command line, escaped for a terminal.
func formatLog(lines []client.JobLogLine) string {
	escaped := func(s string) string { return s }
	if onTerminal(os.Stdout) {
		escaped = escapeLines
	}
	var b strings.Builder
	for _, line := range lines {
		at := line.TS.UTC().Format("2006-01-02T15:04:05.000Z")
		fmt.Fprintf(&b, "%s %s -- %s\n", at, escape(line.ContainerID), escaped(line.Log))
	}
	return b.String()
}
