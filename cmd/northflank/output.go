package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/jobruns/jobruns/client"
)

// print writes what the server sent in the format that was asked for, or else as text for people.
func (r *request) print(
	ctx context.Context,
	sent json.RawMessage,
	forPeople func(now time.Time, color bool) ([]byte, error),
) error {
	var text []byte
	var err error
	if r.code != nil {
		text, err = runJQ(ctx, r.code, sent, onTerminal(os.Stdout))
	} else if encode := formats[r.output]; encode != nil {
		text, err = encode(sent)
	} else {
		now := time.Now().UTC()
		if onTerminal(os.Stdout) {
			now = now.Local() // programs that read this all the same find the same everywhere
		}
		text, err = forPeople(now, colored(os.Stdout))
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// summary is for people.
func summary(run shownRun, now time.Time, color bool) ([]byte, error) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Run\t%s\n", printable(run.RunName))
	fmt.Fprintf(w, "ID\t%s\n", printable(run.ID))
	status := paint(run.Status, color)
	if run.why != nil && run.Status == client.JobRunStatusFailed {
		status += ": " + printable(run.why.sentence(run.JobRun))
	}
	fmt.Fprintf(w, "Status\t%s\n", status)
	fmt.Fprintf(w, "Attempts\t%s\n", attempts(run.JobRun))
	fmt.Fprintf(w, "Started\t%s\n", moment(run.StartedAt, now))
	fmt.Fprintf(w, "Concluded\t%s\n", conclusion(run.JobRun, now))
	if run.why != nil && run.detail {
		run.why.detail(w)
	}
	err := w.Flush()
	if len(run.lines) > 0 {
		b.WriteString("\nThe last lines of its output:\n")
	}
	for _, line := range run.lines {
		b.WriteString("  " + line + "\n")
	}
	return b.Bytes(), err
}

// attempts says how many attempts have ended, of a run that has concluded without that word, and how
// many there may be.
func attempts(run *client.JobRun) string {
	made := plural(run.Completions, "attempt", "attempts")
	if !run.Concluded {
		made += " ended"
	}
	if run.BackoffLimit == 0 {
		return made + ", no retries allowed"
	}
	return made + ", " + plural(run.BackoffLimit, "retry", "retries") + " allowed"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// timeLayout is that of a time with its zone.
const timeLayout = "2006-01-02 15:04:05 MST"

// moment is a time, in the zone of now too. The zero one is one that the server has not sent.
func moment(at, now time.Time) string {
	if at.IsZero() {
		return "the server does not say when"
	}
	text := at.UTC().Format(timeLayout)
	if local := inZone(at, now.Location()); local != "" {
		text += ", " + local
	}
	return fmt.Sprintf("%s (%s)", text, humanize.RelTime(at, now, "ago", "from now"))
}

// inZone is a time in the zone, or nothing if it is the same there as in UTC.
func inZone(at time.Time, zone *time.Location) string {
	local := at.In(zone)
	if _, offset := local.Zone(); offset == 0 {
		return ""
	}
	return local.Format(timeLayout)
}

func conclusion(run *client.JobRun, now time.Time) string {
	switch {
	case run.ConcludedAt != nil && run.StartedAt.IsZero():
		return moment(*run.ConcludedAt, now)
	case run.ConcludedAt != nil:
		return fmt.Sprintf("%s, after %s", moment(*run.ConcludedAt, now), length(run.ConcludedAt.Sub(run.StartedAt)))
	case run.Concluded:
		return "yes, the server does not say when"
	}
	if run.StartedAt.IsZero() {
		return "not yet"
	}
	text := "not yet,"
	if run.Status == client.JobRunStatusRunning {
		text += " running"
	}
	return text + lasting(run, now)
}

// lasting says for how long a run has been running, or after how long it had another status, or
// nothing if the server does not say when it started or concluded.
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

// length is a duration in days and less, such as 2d3h0m0s. The longest and the shortest one are what
// Sub returns of times that are further apart.
func length(d time.Duration) string {
	const day = 24 * time.Hour
	if d == math.MaxInt64 || d == math.MinInt64 {
		return "centuries"
	}
	d = d.Round(time.Second)
	if d < day {
		return d.String()
	}
	return fmt.Sprintf("%dd%v", d/day, d%day)
}

var colors = map[client.JobRunStatus]string{
	client.JobRunStatusSuccess: "\x1b[32m",
	client.JobRunStatusFailed:  "\x1b[31m",
	client.JobRunStatusRunning: "\x1b[33m",
}

func paint(status client.JobRunStatus, color bool) string {
	if code := colors[status]; color && code != "" {
		return code + string(status) + "\x1b[0m"
	}
	return printable(string(status))
}

// colored reports whether the user wants colors: on a terminal that has them, unless NO_COLOR is
// set (https://no-color.org).
func colored(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(f)
}
