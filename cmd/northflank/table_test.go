package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
