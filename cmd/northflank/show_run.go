package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jobruns/jobruns/client"
)

const (
	lastLines   = 5   // of the output of a run that failed
	longestLine = 300 // characters of each
)

// shownRun is a run, and what else there is to say of it.
type shownRun struct {
	*client.JobRun
	why    *reason  // nil if it is not known
	detail bool     // whether to say all of it, of any run
	lines  []string // the last of its output, fit for a terminal; nil if there are none to show
}

// show prints the run, which the response has, and why it ended as it did.
func (get *getJobRun) show(
	ctx context.Context,
	c *client.Client,
	conn connection,
	run *client.JobRun,
	resp *client.Response,
) error {
	sent, err := sentRun(resp, get.latest && !get.wait)
	if err != nil {
		return err
	}
	failed, forPeople := run.Status == client.JobRunStatusFailed, get.output == ""
	ref := get.ref
	ref.Run = cmp.Or(ref.Run, run.ID)
	var why *reason
	if get.outcome || failed && (forPeople || get.wait) {
		why = get.why(ctx, c, conn, ref)
	}
	if get.outcome {
		if sent, err = withOutcome(sent, why); err != nil {
			return err
		}
	}
	shown := shownRun{JobRun: run, why: why, detail: get.outcome}
	if why != nil && failed && forPeople {
		shown.lines = get.lastLines(ctx, c, ref)
	}
	if why != nil && failed && !forPeople && get.wait {
		fmt.Fprintln(os.Stderr, time.Now().UTC().Format(time.RFC3339), printable(failure(run, why)))
	}
	return get.print(ctx, sent, func(now time.Time, color bool) ([]byte, error) {
		return summary(shown, now, color)
	})
}

// why asks why the run ended as it did. Returns nil if the server does not say, and tells about an
// error unless it is that of a server which does not know.
func (get *getJobRun) why(ctx context.Context, c *client.Client, conn connection, ref client.RunRef) *reason {
	why, resp, err := askReason(ctx, c, ref)
	get.trace(resp)
	if err != nil && !unknowing(err) {
		fmt.Fprintf(os.Stderr, "northflank: cannot ask why the run ended: %s\n", printable(explain(err, resp, conn).Error()))
	}
	return why
}

// sentRun returns the run of a response, which may be the first one of a list, as the server sent it.
func sentRun(resp *client.Response, listed bool) (json.RawMessage, error) {
	data, err := sentData(resp)
	if err != nil || !listed {
		return data, err
	}
	var list struct{ Runs []json.RawMessage }
	err = json.Unmarshal(data, &list)
	return list.Runs[0], err // the client has seen that there is one
}

// lastLines returns the last lines that a run printed, fit for a terminal, or none if that cannot be
// read: the run is shown all the same.
func (get *getJobRun) lastLines(ctx context.Context, c *client.Client, ref client.RunRef) []string {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	output, resp, err := c.GetJobRunOutput(ctx, ref)
	get.trace(resp)
	if err != nil || output.Output == nil {
		return nil
	}
	text := strings.TrimRight(*output.Output, " \t\r\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if runes := []rune(line); len(runes) > longestLine {
			line = string(runes[:longestLine]) + "..."
		}
		lines[i] = printableLines(line)
	}
	return lines
}
