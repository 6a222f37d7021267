package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	lipglosstable "charm.land/lipgloss/v2/table"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/client"
)

// table is a list for people. Its cells are printable, and may have colors.
type table struct {
	headers []string
	rows    [][]string
}

// render returns the table in columns, which are cut to fit a width, or are as wide as need be if
// that is 0.
func (t table) render(width int) string {
	made := lipglosstable.New().Headers(t.headers...).Rows(t.rows...).Wrap(false).
		Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == len(t.headers)-1 {
				return lipgloss.NewStyle()
			}
			return lipgloss.NewStyle().PaddingRight(2)
		})
	text := made.String()
	if width > 0 && lipgloss.Width(text) > width {
		text = made.Width(width).String()
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// width is that of the terminal, or 0 where there is none.
func width(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func projectTable(projects []client.Project, _ time.Time, _ bool) table {
	t := table{headers: []string{"PROJECT", "NAME"}}
	for _, p := range projects {
		t.rows = append(t.rows, []string{printable(p.ID), printable(p.Name)})
	}
	return t
}

func jobTable(jobs []client.Job, now time.Time, color bool) table {
	t := table{headers: []string{"JOB", "LATEST", "STARTED (UTC)", "TOOK", "RUN"}}
	for _, job := range jobs {
		row := []string{printable(job.ID), "-", "", "", ""}
		if job.LatestRun != nil {
			row = append(row[:1], runCells(job.LatestRun, now, color)...)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func runTable(runs []client.JobRun, now time.Time, color bool) table {
	t := table{headers: []string{"STATUS", "STARTED (UTC)", "TOOK", "RUN"}}
	for i := range runs {
		t.rows = append(t.rows, runCells(&runs[i], now, color))
	}
	return t
}

func listedTable(runs []listedRun, now time.Time, color bool) table {
	t := table{headers: []string{"JOB", "STATUS", "STARTED (UTC)", "TOOK", "RUN"}}
	for i := range runs {
		t.rows = append(t.rows, append([]string{printable(runs[i].jobID)}, runCells(&runs[i].JobRun, now, color)...))
	}
	return t
}

// runCells are the status of a run, its start, its duration and its ID.
func runCells(run *client.JobRun, now time.Time, color bool) []string {
	return []string{
		paint(run.Status, color), startCell(run), took(run, now), printable(run.ID),
	}
}

func startCell(run *client.JobRun) string {
	if run.StartedAt.IsZero() {
		return "?"
	}
	return run.StartedAt.UTC().Format(time.DateTime)
}

// took is how long a run has taken, or has been taking, or "?" where the server does not say.
func took(run *client.JobRun, now time.Time) string {
	switch {
	case run.StartedAt.IsZero():
		return "?"
	case run.ConcludedAt != nil:
		return length(run.ConcludedAt.Sub(run.StartedAt))
	case run.Concluded:
		return "?"
	}
	return length(max(0, now.Sub(run.StartedAt)))
}

// printTable writes a list of the name, of items as the server sent them, in the format that was
// asked for, or as a table for people.
func (r *request) printTable(
	ctx context.Context,
	name string,
	items []json.RawMessage,
	asTable func(now time.Time, color bool) table,
) error {
	if items == nil {
		items = []json.RawMessage{}
	}
	sent, err := json.Marshal(map[string][]json.RawMessage{name: items})
	if err != nil {
		return err
	}
	return r.print(ctx, sent, func(now time.Time, color bool) ([]byte, error) {
		return []byte(asTable(now, color).render(width(os.Stdout))), nil
	})
}
