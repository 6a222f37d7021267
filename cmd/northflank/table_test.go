package main

import (
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
