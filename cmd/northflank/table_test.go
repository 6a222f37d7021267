package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/client"
)

func TestTablesSayLocalTimeToo(t *testing.T) {
	at := time.Date(2020, 12, 8, 23, 47, 8, 0, time.UTC)
	jobs := []client.Job{
		{ID: "backup", LatestRun: &client.JobRun{ID: "1", Status: client.JobRunStatusRunning, StartedAt: at}},
		{ID: "never"},
		{ID: "odd", LatestRun: &client.JobRun{ID: "2", Status: client.JobRunStatusRunning}},
	}
	cet := time.FixedZone("CET", 3600)
	for name, tt := range map[string]struct {
		zone  *time.Location
		width int
		want  string
	}{
		"UTC": {time.UTC, 100, `
JOB     LATEST   STARTED (UTC)        TOOK  RUN
backup  RUNNING  2020-12-08 23:47:08  1m    1
never   -
odd     RUNNING  ?                    ?     2
`},
		"the same as UTC": {time.FixedZone("GMT", 0), 100, `
JOB     LATEST   STARTED (UTC)        TOOK  RUN
backup  RUNNING  2020-12-08 23:47:08  1m    1
never   -
odd     RUNNING  ?                    ?     2
`},
		"another zone": {cet, 80, `
JOB     LATEST   STARTED (UTC)        STARTED (LOCAL)          TOOK  RUN
backup  RUNNING  2020-12-08 23:47:08  2020-12-09 00:47:08 CET  1m    1
never   -
odd     RUNNING  ?                    ?                        ?     2
`},
		"a narrow terminal": {cet, 60, `
JOB     LATEST   STARTED (LOCAL)          TOOK  RUN
backup  RUNNING  2020-12-09 00:47:08 CET  1m    1
never   -
odd     RUNNING  ?                        ?     2
`},
	} {
		t.Run(name, func(t *testing.T) {
			got := jobTable(jobs, at.Add(time.Minute).In(tt.zone), false).render(tt.width)
			if diff := cmp.Diff(tt.want[1:], got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTableFitsNarrowTerminal(t *testing.T) {
	made := table{
		headers: []string{"JOB", "TOOK", "REASON", "RUN"}, text: "REASON", spare: []string{"RUN", "TOOK"},
		rows: [][]string{
			{"backup", "5m", "executable file not found in $PATH", "7a110511-6626"},
			{"report", "2s", "exit status 23", "c9ca98f9-1c7f"},
		},
	}
	for width, want := range map[int]string{
		0: `JOB     TOOK  REASON                              RUN
backup  5m    executable file not found in $PATH  7a110511-6626
report  2s    exit status 23                      c9ca98f9-1c7f
`,
		60: `JOB     TOOK  REASON                           RUN
backup  5m    executable file not found in $…  7a110511-6626
report  2s    exit status 23                   c9ca98f9-1c7f
`,
		50: `JOB     TOOK  REASON
backup  5m    executable file not found in $PATH
report  2s    exit status 23
`,
		40: `JOB     TOOK  REASON
backup  5m    executable file not found…
report  2s    exit status 23
`,
		30: `JOB     REASON
backup  executable file not f…
report  exit status 23
`,
	} {
		if diff := cmp.Diff(want, made.render(width)); diff != "" {
			t.Errorf("%d wide (-want +got):\n%s", width, diff)
		}
	}
}

func TestTableContinuesOnNextPage(t *testing.T) {
	var w listWriter
	var got strings.Builder
	for _, page := range []table{
		{headers: []string{"PROJECT", "NAME", "RUN"}, rows: [][]string{{"a", "long name", "1"}}},
		{headers: []string{"PROJECT", "NAME", "RUN"}, rows: [][]string{{"much longer", "b", "2"}}},
		{headers: []string{"PROJECT", "NAME", "RUN"}},
		{headers: []string{"PROJECT", "NAME", "RUN"}, rows: [][]string{{"c", "d", "3"}}},
		{headers: []string{"PROJECT", "RUN"}, rows: [][]string{{"e", "4"}}},
	} {
		got.WriteString(w.rows(page, 80))
	}
	const want = `
PROJECT  NAME       RUN
a        long name  1
much longer  b          2
c            d          3
PROJECT  RUN
e        4
`
	if diff := cmp.Diff(want[1:], got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
