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

// explained reports whether a run has failed and the server sends a reason.
func explained(runs []listedRun) bool {
	return slices.ContainsFunc(runs, func(run listedRun) bool { return run.failed() && run.Reason != nil })
}

// runTable has the columns HOST and REASON only with reasons, and the column JOB only for runs of
// several jobs.
func runTable(runs []listedRun, reasons, jobs bool, now time.Time, color bool) table {
	t := table{headers: []string{"STATUS", startedHeader(now), tookHeader, runHeader}}
	last := len(t.headers) - 1
	if reasons {
		t.text, t.spare = reasonHeader, []string{runHeader, tookHeader}
		t.headers = slices.Insert(t.headers, last, "HOST", reasonHeader)
	}
	if jobs {
		t.headers = slices.Insert(t.headers, 0, "JOB")
	}
	for _, run := range runs {
		row := runCells(&run.JobRun, now, color)
		if reasons {
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

// listWriter writes a list as it arrives, page by page, in the format of --output, or as a table for
// people. What --jq makes of a list needs all of it.
type listWriter struct {
	*request
	name   string
	items  []json.RawMessage // all, for --jq
	begun  bool              // whether an item is written as JSON or YAML
	table  table             // the table of the page before, with its widest cells as the only row
	header string
}

// jsonTail follows the items of a list.
const jsonTail = "\n  ]\n}\n"

// document returns a list of items, as the server sent them.
func (w *listWriter) document(items []json.RawMessage) (json.RawMessage, error) {
	if items == nil {
		items = []json.RawMessage{}
	}
	return json.Marshal(map[string][]json.RawMessage{w.name: items})
}

// write writes a page.
func (w *listWriter) write(items []json.RawMessage, asTable func(now time.Time, color bool) table) error {
	switch {
	case w.quiet:
		return nil
	case w.code != nil:
		w.items = append(w.items, items...)
		return nil
	case w.format == "":
		_, err := os.Stdout.WriteString(w.rows(asTable(display()), width(os.Stdout)))
		return err
	case len(items) == 0:
		return nil
	}
	sent, err := w.document(items)
	if err != nil {
		return err
	}
	format, head, between := indentJSON, "[\n", ",\n"
	if w.format == "yaml" {
		format, head, between = toYAML, "\n", ""
	}
	text, err := format(sent)
	if err != nil {
		return err
	}
	if w.begun {
		_, text, _ = strings.Cut(text, head)
		text = between + text
	}
	w.begun = true
	_, err = os.Stdout.WriteString(strings.TrimSuffix(text, jsonTail))
	return err
}

// end writes what follows the last page.
func (w *listWriter) end(ctx context.Context) error {
	switch {
	case w.quiet, w.code == nil && w.format == "", w.format == "yaml" && w.begun:
		return nil
	case w.begun:
		_, err := os.Stdout.WriteString(jsonTail)
		return err
	}
	sent, err := w.document(w.items)
	if err != nil {
		return err
	}
	return w.print(ctx, sent, nil)
}

// rows returns the rows of a page, in columns that are at least as wide as those of the page before.
// The header precedes them if the page before had other columns.
func (w *listWriter) rows(t table, width int) string {
	widest := make([]string, len(t.headers))
	same := slices.Equal(t.headers, w.table.headers)
	if same {
		t.rows = slices.Concat(w.table.rows, t.rows)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			widest[i] = strings.Repeat("x", max(len(widest[i]), lipgloss.Width(cell)))
		}
	}
	w.table = table{headers: t.headers, rows: [][]string{widest}}
	header, rows, _ := strings.Cut(t.render(width), "\n")
	if same {
		_, rows, _ = strings.Cut(rows, "\n")
	}
	if columns := strings.Join(strings.Fields(header), " "); columns != w.header {
		w.header = columns
		return header + "\n" + rows
	}
	return rows
}
