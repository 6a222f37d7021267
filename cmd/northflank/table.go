package main

import (
	"os"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	lipglosstable "charm.land/lipgloss/v2/table"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/client"
)

// table is a list for people. Its cells are escaped, and may have colors.
type table struct {
	headers []string
	rows    [][]string
	text    string   // the header of a column that a narrow terminal cuts down to shortestText
	spare   []string // headers of columns that a terminal leaves out, one by one, if that is not enough
}

const shortestText = 24

// The headers of columns that a narrow terminal changes.
const (
	tookHeader   = "TOOK"
	reasonHeader = "REASON"
	runHeader    = "RUN"
)

// render returns the table in columns that fit the width; 0 means any width.
func (t table) render(width int) string {
	var b strings.Builder
	for line := range strings.Lines(t.fit(width).String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// fit cuts the text column, then leaves out the spare columns, because an ID is of no use if it is
// cut, and then cuts all columns.
func (t table) fit(width int) *lipglosstable.Table {
	made := t.layout(0)
	over := lipgloss.Width(made.String()) - width
	if width == 0 || over <= 0 {
		return made
	}
	longest := 0
	if i := slices.Index(t.headers, t.text); i >= 0 {
		for _, row := range t.rows {
			longest = max(longest, lipgloss.Width(row[i]))
		}
	}
	switch {
	case longest-over >= shortestText:
		return t.layout(longest - over)
	case len(t.spare) > 0:
		next := t.without(t.spare[0])
		next.spare = t.spare[1:]
		return next.fit(width)
	}
	return made.Width(width)
}

// layout returns the table with a text column of that width, or as wide as need be if it is 0.
func (t table) layout(textWidth int) *lipglosstable.Table {
	return lipglosstable.New().Headers(t.headers...).Rows(t.rows...).Wrap(false).
		Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).
		StyleFunc(func(_, column int) lipgloss.Style {
			padding := 2
			if column == len(t.headers)-1 {
				padding = 0
			}
			style := lipgloss.NewStyle().PaddingRight(padding)
			if textWidth > 0 && t.headers[column] == t.text {
				style = style.Width(textWidth + padding)
			}
			return style
		})
}

// without returns the table without a column.
func (t table) without(header string) table {
	made := table{text: t.text, spare: t.spare}
	column := slices.Index(t.headers, header)
	made.headers = slices.Delete(slices.Clone(t.headers), column, column+1)
	for _, row := range t.rows {
		made.rows = append(made.rows, slices.Delete(slices.Clone(row), column, column+1))
	}
	return made
}

// width returns the width of the terminal, or 0 if there is none.
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
		t.rows = append(t.rows, []string{escape(p.ID), escape(p.Name)})
	}
	return t
}

func jobTable(jobs []client.Job, now time.Time, color bool) table {
	t := table{headers: []string{"JOB", "LATEST", startedHeader(now), tookHeader, runHeader}}
	for _, job := range jobs {
		row := []string{escape(job.ID), "-", "", "", ""}
		if job.LatestRun != nil {
			row = append(row[:1], runCells(job.LatestRun, now, color)...)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// runTable has the columns HOST and REASON if a run has failed and the server sends a reason. It has
// the column JOB only for runs of several jobs.
func runTable(runs []listedRun, jobs bool, now time.Time, color bool) table {
	t := table{headers: []string{"STATUS", startedHeader(now), tookHeader, runHeader}}
	explained := slices.ContainsFunc(runs, func(run listedRun) bool { return run.failed() && run.Reason != nil })
	last := len(t.headers) - 1
	if explained {
		t.text, t.spare = reasonHeader, []string{runHeader, tookHeader}
		t.headers = slices.Insert(t.headers, last, "HOST", reasonHeader)
	}
	if jobs {
		t.headers = slices.Insert(t.headers, 0, "JOB")
	}
	for _, run := range runs {
		row := runCells(&run.JobRun, now, color)
		if explained {
			row = slices.Insert(row, last, run.reasonCells()...)
		}
		if jobs {
			row = slices.Insert(row, 0, escape(run.JobID))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (run *listedRun) failed() bool { return run.Status == client.JobRunStatusFailed }

// reasonCells are the host of a run, and the reason of its end if it has failed.
func (run *listedRun) reasonCells() []string {
	cells := []string{"", ""}
	if run.Host != nil {
		cells[0] = escape(*run.Host)
	}
	if run.failed() {
		cells[1] = escape(causeOf(run.Reason, run.Message))
	}
	return cells
}

// startedHeader is the header of the starts, which are in the time zone of now.
func startedHeader(now time.Time) string {
	if now.Location() == time.UTC {
		return "STARTED (UTC)"
	}
	return "STARTED (LOCAL)"
}

// runCells are the status of a run, its start in the time zone of now, its duration and its ID.
func runCells(run *client.JobRun, now time.Time, color bool) []string {
	started := unknown
	if !run.StartedAt.IsZero() {
		started = run.StartedAt.In(now.Location()).Format(time.DateTime)
	}
	return []string{paint(run.Status, color), started, took(run, now), escape(run.ID)}
}

// unknown stands for a value that the server does not send.
const unknown = "?"
