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
	// spare are the headers of columns that a narrow terminal leaves out, one after the other.
	spare []string
}

// The headers of columns that a table can leave out. On a terminal, localHeader shows the start of a
// run in the local time zone.
const startedHeader, localHeader, tookHeader, runHeader = "STARTED (UTC)", "STARTED (LOCAL)", "TOOK", "RUN"

// render returns the table in columns. If they do not fit the width, it leaves out the spare columns
// first, because an ID is of no use if it is cut, and then cuts the widest. 0 means any width. A
// column of local times that are all UTC is left out.
func (t table) render(width int) string {
	if i := slices.Index(t.headers, localHeader); i >= 0 {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" && row[i] != unknown }) {
			t.spare = slices.Concat([]string{startedHeader}, t.spare)
		} else {
			t = t.without(localHeader)
		}
	}
	made := t.layout()
	for width > 0 && lipgloss.Width(made.String()) > width {
		if len(t.spare) == 0 {
			made.Width(width)
			break
		}
		t = t.without(t.spare[0])
		made, t.spare = t.layout(), t.spare[1:]
	}
	var b strings.Builder
	for line := range strings.Lines(made.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

func (t table) layout() *lipglosstable.Table {
	return lipglosstable.New().Headers(t.headers...).Rows(t.rows...).Wrap(false).
		Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == len(t.headers)-1 {
				return lipgloss.NewStyle()
			}
			return lipgloss.NewStyle().PaddingRight(2)
		})
}

// without returns the table without a column.
func (t table) without(header string) table {
	made := table{spare: t.spare}
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

func projectTable(projects []client.Project) table {
	t := table{headers: []string{"PROJECT", "NAME"}}
	for _, p := range projects {
		t.rows = append(t.rows, []string{escape(p.ID), escape(p.Name)})
	}
	return t
}

func jobTable(jobs []client.Job, now time.Time, color bool) table {
	t := table{headers: []string{"JOB", "LATEST", startedHeader, localHeader, tookHeader, runHeader}}
	for _, job := range jobs {
		row := []string{escape(job.ID), "-", "", "", "", ""}
		if job.LatestRun != nil {
			row = append(row[:1], runCells(job.LatestRun, now, color)...)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// runTable has the columns HOST and REASON only with reasons, and the column JOB only for runs of
// several jobs.
func runTable(runs []listedRun, reasons, jobs bool, now time.Time, color bool) table {
	t := table{headers: []string{"STATUS", startedHeader, localHeader, tookHeader, runHeader}}
	for _, run := range runs {
		t.rows = append(t.rows, runCells(&run.JobRun, now, color))
	}
	if reasons {
		last := len(t.headers) - 1
		t.spare = []string{runHeader, tookHeader}
		t.headers = slices.Insert(t.headers, last, "HOST", "REASON")
		for i, run := range runs {
			host, text := run.reasonCells()
			t.rows[i] = slices.Insert(t.rows[i], last, host, text)
		}
	}
	if jobs {
		t.headers = slices.Insert(t.headers, 0, "JOB")
		for i, run := range runs {
			t.rows[i] = slices.Insert(t.rows[i], 0, escape(run.ref.Job))
		}
	}
	return t
}

// runCells are the status of a run, its start, its start in the time zone of now unless that is UTC,
// its duration and its ID.
func runCells(run *client.JobRun, now time.Time, color bool) []string {
	started, local := unknown, unknown
	if !run.StartedAt.IsZero() {
		started, local = run.StartedAt.UTC().Format(time.DateTime), inZone(run.StartedAt, now.Location())
	}
	return []string{paint(run.Status, color), started, local, took(run, now), escape(run.ID)}
}

// unknown stands for a value that the server does not send.
const unknown = "?"

// printList writes a list with a name, of items as the server sent them, in the format of --output,
// or as a table for people.
func (r *request) printList(
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
	return r.print(ctx, sent, func(now time.Time, color bool) string {
		return asTable(now, color).render(width(os.Stdout))
	})
}
