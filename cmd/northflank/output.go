package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/client"
)

// formats are the values of --output. Without one, the output is for people.
var formats = map[string]func(v any) ([]byte, error){"json": asJSON, "yaml": asYAML}

func isFormat(name string) bool { return name == "" || formats[name] != nil }

// asJSON is the form of the reference.
func asJSON(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}

// asYAML has the fields of the JSON form, in their order.
func asYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(text)
}

// print writes a value in the format that was asked for, or else as text for people.
func (r *request) print(v any, forPeople func(now time.Time, color bool) ([]byte, error)) error {
	var text []byte
	var err error
	if encode := formats[r.output]; encode != nil {
		text, err = encode(v)
	} else {
		text, err = forPeople(time.Now(), colored(os.Stdout))
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// summary is for people.
func summary(run *client.JobRun, now time.Time, color bool) ([]byte, error) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Run\t%s\n", printable(run.RunName))
	fmt.Fprintf(w, "ID\t%s\n", printable(run.ID))
	fmt.Fprintf(w, "Status\t%s\n", paint(run.Status, color))
	fmt.Fprintf(w, "Attempts\t%d ended, %s allowed\n", run.Completions, plural(run.BackoffLimit, "retry", "retries"))
	fmt.Fprintf(w, "Started\t%s\n", moment(run.StartedAt, now))
	fmt.Fprintf(w, "Concluded\t%s\n", conclusion(run, now))
	err := w.Flush()
	return b.Bytes(), err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func moment(at, now time.Time) string {
	return fmt.Sprintf(
		"%s (%s)",
		at.UTC().Format("2006-01-02 15:04:05 UTC"),
		humanize.RelTime(at, now, "ago", "from now"),
	)
}

func conclusion(run *client.JobRun, now time.Time) string {
	switch {
	case run.ConcludedAt != nil:
		return fmt.Sprintf("%s, after %s", moment(*run.ConcludedAt, now), length(run.ConcludedAt.Sub(run.StartedAt)))
	case run.Concluded:
		return "yes, the server does not say when"
	}
	return fmt.Sprintf("not yet, after %s", length(now.Sub(run.StartedAt)))
}

// length is a duration in days and less, such as 2d3h0m0s.
func length(d time.Duration) string {
	const day = 24 * time.Hour
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
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
