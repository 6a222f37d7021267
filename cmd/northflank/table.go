package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
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
	// Of a table that is too wide, the text is cut down to goodText first, then the spare columns are left
	// out one by one, because an ID is of no use if it is cut, and then the text is cut down to shortText.
	// All are headers.
	text  string
	spare []string
}

const goodText, shortText = 24, 8

// The columns of when runs started. On a terminal, the second one says the same in the local zone.
const startedHeader, localHeader = "STARTED (UTC)", "STARTED (LOCAL)"

// render returns the table in columns, which fit a width, or are as wide as need be if that is 0. A
// local time that is UTC is left out. Where the columns do not fit, so is UTC beside another local
// time, and then they are cut.
func (t table) render(width int) string {
	made := t.lay(0)
	if i := slices.Index(t.headers, localHeader); i >= 0 {
		local := slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" && row[i] != unknown })
		if !local {
			return t.without(i).render(width)
		}
		if utc := slices.Index(t.headers, startedHeader); utc >= 0 && width > 0 && lipgloss.Width(made.String()) > width {
			return t.without(utc).render(width)
		}
	}
	text := made.String()
	if over := lipgloss.Width(text) - width; width > 0 && over > 0 {
		longest := 0
		if i := slices.Index(t.headers, t.text); i >= 0 {
			for _, row := range t.rows {
				longest = max(longest, lipgloss.Width(row[i]))
			}
		}
		switch {
		case longest-over >= goodText:
			text = t.lay(longest - over).String()
		case len(t.spare) > 0:
			first := slices.Index(t.headers, t.spare[0])
			t.spare = t.spare[1:]
			return t.without(first).render(width)
		case longest-over >= shortText:
			text = t.lay(longest - over).String()
		default:
			text = made.Width(width).String()
		}
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// lay lays the table out, with the text so wide, or as wide as need be if that is 0.
func (t table) lay(textWidth int) *lipglosstable.Table {
	const between = 2
	return lipglosstable.New().Headers(t.headers...).Rows(t.rows...).Wrap(false).
		Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).
		StyleFunc(func(_, column int) lipgloss.Style {
			style := lipgloss.NewStyle()
			last := column == len(t.headers)-1
			if !last {
				style = style.PaddingRight(between)
			}
			if textWidth > 0 && t.headers[column] == t.text {
				style = style.Width(textWidth + style.GetPaddingRight())
			}
			return style
		})
}

// without returns the table without a column.
func (t table) without(column int) table {
	made := table{headers: slices.Delete(slices.Clone(t.headers), column, column+1), text: t.text, spare: t.spare}
	for _, row := range t.rows {
		made.rows = append(made.rows, slices.Delete(slices.Clone(row), column, column+1))
	}
	return made
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
	t := table{headers: []string{"JOB", "LATEST", startedHeader, localHeader, "TOOK", "RUN"}}
	for _, job := range jobs {
		row := []string{printable(job.ID), "-", "", "", "", ""}
		if job.LatestRun != nil {
			row = append(row[:1], runCells(job.LatestRun, now, color)...)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func runTable(runs []client.JobRun, now time.Time, color bool) table {
	t := table{headers: []string{"STATUS", startedHeader, localHeader, "TOOK", "RUN"}}
	for i := range runs {
		t.rows = append(t.rows, runCells(&runs[i], now, color))
	}
	return t
}

func listedTable(runs []listedRun, now time.Time, color bool) table {
	t := table{headers: []string{"JOB", "STATUS", startedHeader, localHeader, "TOOK", "RUN"}}
	for i := range runs {
		t.rows = append(t.rows, append([]string{printable(runs[i].jobID)}, runCells(&runs[i].JobRun, now, color)...))
	}
	return t
}

// withReasons adds the columns HOST and REASON, before that of the run's ID, where they are known of
// any.
func (t table) withReasons(why *reasons) table {
	if !why.known() {
		return t
	}
	last := len(t.headers) - 1
	t.text, t.spare = "REASON", []string{t.headers[last], "TOOK"}
	t.headers = slices.Insert(t.headers, last, "HOST", "REASON")
	for i, row := range t.rows {
		host, text := why.cells(i)
		t.rows[i] = slices.Insert(row, last, host, text)
	}
	return t
}

// runCells are the status of a run, its start, that in the zone of now, unless that is UTC, its
// duration and its ID.
func runCells(run *client.JobRun, now time.Time, color bool) []string {
	started, local := unknown, unknown
	if !run.StartedAt.IsZero() {
		started, local = run.StartedAt.UTC().Format(time.DateTime), inZone(run.StartedAt, now.Location())
	}
	return []string{paint(run.Status, color), started, local, took(run, now), printable(run.ID)}
}

// unknown is what a table has in place of what the server does not say.
const unknown = "?"

// took is how long a run has taken, or has been taking, or unknown where the server does not say.
func took(run *client.JobRun, now time.Time) string {
	switch {
	case run.StartedAt.IsZero():
		return unknown
	case run.ConcludedAt != nil:
		return length(run.ConcludedAt.Sub(run.StartedAt))
	case run.Concluded:
		return unknown
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
