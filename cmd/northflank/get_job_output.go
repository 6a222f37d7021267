package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// logsPermission is what a token needs to read output.
const logsPermission = "Project > Observability > Logs > Read"

// getJobOutput is the command "northflank get job output".
type getJobOutput struct {
	runRequest
}

func newGetJobOutput() *cobra.Command {
	var get getJobOutput
	cmd := &cobra.Command{
		Use:   "output",
		Short: "Show what a job run printed last",
		Long: `Show the last lines that the command of a job run printed, on both of its streams, when the run has concluded.
They are there if its recorder was asked to keep it: "jobrun --keep-output 16KiB". The token needs the permission
"` + logsPermission + `", which "jobrund token create --permission" gives.

Where it goes to a file or a program, it is as the command printed it. On a terminal, characters that the terminal would
act upon are escaped; lines and tabs stay. -o json and -o yaml print what the server sent: output, null if there is
none.

The server and the token are looked for like those of "northflank get job run", and what is missing is asked for in the
same way. The exit status is 0 if there is output, 1 if there is none or for any other error, and 2 for a wrong command
line.`,
		Example: `  northflank get job output
  northflank get job output --projectId default-project --jobId example-job --latest
  northflank get job output --project p --job j --run r > output.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return get.run(cmd.Context())
		},
	}
	get.addFlags(cmd)
	return cmd
}

func (get *getJobOutput) run(ctx context.Context) error {
	if err := get.open(ctx); err != nil {
		return err
	}
	if get.latest {
		run, _, err := get.newest(ctx)
		if err != nil {
			return err
		}
		get.ref.Run = run.ID
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	output, resp, err := get.client.GetJobRunOutput(ctx, get.ref)
	get.trace(resp)
	host, name := get.conn.host, nameOf(get.ref)
	switch {
	case errors.Is(err, client.ErrForbidden):
		err = get.conn.errorf(err, "%s does not let the token of %s see the output of %s", host, get.conn.tokenFrom, name)
		return fmt.Errorf(`%w; jobrund token create --permission "%s" makes one that may`, err, logsPermission)
	case errors.Is(err, client.ErrUnsupported):
		return fmt.Errorf("%s does not serve the output of runs: it is not jobrund, or an earlier version", host)
	case err != nil:
		return get.userError(err, resp)
	case get.format != "":
		sent, err := sentData(resp)
		if err != nil {
			return err
		}
		return get.print(ctx, sent, nil)
	case output.Output != nil:
		return write(output)
	}
	if run, _, err := get.once(ctx); err == nil && !run.Concluded { // the token may be for output only
		return fmt.Errorf("%s has no output of %s yet: the run has not concluded", host, name)
	}
	return fmt.Errorf("%s has no output of %s: none was recorded; "+
		"jobrun --keep-output 16KiB -- COMMAND keeps the end of what a command prints", host, name)
}

// write prints the output as it is, or escaped for a terminal.
func write(output *client.JobRunOutput) error {
	text, note := *output.Output, ""
	if onTerminal(os.Stdout) {
		switch {
		case text == "":
			note = "The run printed nothing."
		case !strings.HasSuffix(text, "\n"):
			text += "\n"
		}
		text = escapeLines(text)
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return err
	}
	if note != "" {
		fmt.Fprintln(os.Stderr, note)
	}
	return nil
}
