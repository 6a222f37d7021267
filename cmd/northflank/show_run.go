package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/duration"
)

const (
	lastLines   = 5   // of the log of a run that failed
	longestLine = 300 // characters of each
)

// shownRun is a run with the additions for people.
type shownRun struct {
	*client.JobRun
	why    *reason  // nil if it is not known
	detail bool     // whether to show all of the reason
	lines  []string // the last lines of its log, escaped
}

// show prints the run, which the response contains, and why it ended as it did.
func (get *getJobRun) show(ctx context.Context, run *client.JobRun, resp *client.Response) error {
	sent, err := sentRun(resp, get.latest && !get.wait)
	if err != nil {
		return err
	}
	failed, forPeople := run.Status == client.JobRunStatusFailed, get.format == ""
	get.ref.Run = cmp.Or(get.ref.Run, run.ID)
	shown := shownRun{JobRun: run, detail: get.outcome}
	if get.outcome || failed && forPeople {
		shown.why = get.why(ctx)
	}
	if get.outcome {
		if sent, err = withMember(sent, "outcome", shown.why.raw()); err != nil {
			return err
		}
	}
	if shown.why != nil && failed && forPeople {
		shown.lines = get.lastLines(ctx)
	}
	return get.print(ctx, sent, shown.summary)
}

// why returns why the run ended as it did, or nil if the server does not say. It reports an error,
// unless the server does not know outcomes.
func (get *getJobRun) why(ctx context.Context) *reason {
	why, resp, err := askReason(ctx, get.client, get.ref)
	get.trace(resp)
	if err != nil && !withoutOutcomes(err) {
		fmt.Fprintf(os.Stderr, "northflank: cannot ask why the run ended: %s\n",
			escape(get.conn.userError(err, resp).Error()))
	}
	return why
}

// sentRun returns the run of a response as the server sent it. listed means that it is the first run
// of a list.
func sentRun(resp *client.Response, listed bool) (json.RawMessage, error) {
	data, err := sentData(resp)
	if err != nil || !listed {
		return data, err
	}
	var list struct{ Runs []json.RawMessage }
	err = json.Unmarshal(data, &list)
	return list.Runs[0], err // the client has checked that there is one
}

// lastLines returns the last lines that a run printed, escaped, or nil if they cannot be read.
func (get *getJobRun) lastLines(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	log, resp, err := get.client.GetJobLogs(ctx, get.job(), client.JobLogsOptions{
		Run: get.ref.Run, LineLimit: lastLines, Direction: client.LogDirectionBackward,
	})
	get.trace(resp)
	if err != nil {
		return nil
	}
	var lines []string
	for _, logged := range slices.Backward(log) {
		line := strings.TrimSuffix(logged.Log, "\r")
		if runes := []rune(line); len(runes) > longestLine {
			line = string(runes[:longestLine]) + "..."
		}
		lines = append(lines, escapeLines(line))
	}
	return lines
}

// summary is the run for people.
func (run shownRun) summary(now time.Time, color bool) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Run\t%s\n", escape(run.RunName))
	fmt.Fprintf(w, "ID\t%s\n", escape(run.ID))
	status := paint(run.Status, color)
	if run.why != nil && run.Status == client.JobRunStatusFailed {
		status += ": " + escape(run.why.sentence(run.JobRun))
	}
	fmt.Fprintf(w, "Status\t%s\n", status)
	fmt.Fprintf(w, "Attempts\t%s\n", attempts(run.JobRun))
	fmt.Fprintf(w, "Started\t%s\n", moment(run.StartedAt, now))
	fmt.Fprintf(w, "Concluded\t%s\n", conclusion(run.JobRun, now))
	if run.why != nil && run.detail {
		run.why.detail(w)
	}
	_ = w.Flush() // a strings.Builder takes everything
	if len(run.lines) > 0 {
		b.WriteString("\nThe last lines of its log:\n")
	}
	for _, line := range run.lines {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// attempts returns how many attempts have ended and how many retries are allowed.
func attempts(run *client.JobRun) string {
	made := english.Plural(run.Completions, "attempt", "")
	if !run.Concluded {
		made += " ended"
	}
	if run.BackoffLimit == 0 {
		return made + ", no retries allowed"
	}
	return made + ", " + english.Plural(run.BackoffLimit, "retry", "") + " allowed"
}

// timeLayout is the layout of a time with its time zone.
const timeLayout = "2006-01-02 15:04:05 MST"

// moment is a time in UTC and, if it differs, in the time zone of now. The zero time means that the
// server sent none.
func moment(at, now time.Time) string {
	if at.IsZero() {
		return "the server does not say when"
	}
	text := at.UTC().Format(timeLayout)
	local := at.In(now.Location())
	if _, offset := local.Zone(); offset != 0 {
		text += ", " + local.Format(timeLayout)
	}
	return fmt.Sprintf("%s (%s)", text, humanize.RelTime(at, now, "ago", "from now"))
}

func conclusion(run *client.JobRun, now time.Time) string {
	text, lasts := "not yet", lasting(run, now)
	switch {
	case run.ConcludedAt != nil:
		text = moment(*run.ConcludedAt, now)
	case run.Concluded:
		return "yes, the server does not say when"
	case lasts != "" && run.Status == client.JobRunStatusRunning:
		lasts = " running" + lasts
	}
	if lasts != "" {
		text += "," + lasts
	}
	return text
}

// lasting returns " for" and the time that a run has been running, or " after" and the time to another
// status, or "" if the server does not send the times.
func lasting(run *client.JobRun, now time.Time) string {
	switch long := took(run, now); {
	case long == unknown:
		return ""
	case run.Status == client.JobRunStatusRunning:
		return " for " + long
	default:
		return " after " + long
	}
}

// took is the duration of a run up to now, or unknown if the server does not send the times.
func took(run *client.JobRun, now time.Time) string {
	switch {
	case run.StartedAt.IsZero():
		return unknown
	case run.ConcludedAt != nil:
		return length(max(0, run.ConcludedAt.Sub(run.StartedAt)))
	case run.Concluded:
		return unknown
	}
	return length(max(0, now.Sub(run.StartedAt)))
}

// length is a duration in days and less, such as 2d3h or 5m.
func length(d time.Duration) string { return duration.Format(d.Round(time.Second)) }

var colors = map[client.JobRunStatus]string{
	client.JobRunStatusSuccess: "\x1b[32m",
	client.JobRunStatusFailed:  "\x1b[31m",
	client.JobRunStatusRunning: "\x1b[33m",
}

func paint(status client.JobRunStatus, color bool) string {
	if code := colors[status]; color && code != "" {
		return code + string(status) + "\x1b[0m"
	}
	return escape(string(status))
}
