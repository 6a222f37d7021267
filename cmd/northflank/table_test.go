package main

import (
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
backup  RUNNING  2020-12-08 23:47:08  1m0s  1
never   -
odd     RUNNING  ?                    ?     2
`},
		"the same as UTC": {time.FixedZone("GMT", 0), 100, `
JOB     LATEST   STARTED (UTC)        TOOK  RUN
backup  RUNNING  2020-12-08 23:47:08  1m0s  1
never   -
odd     RUNNING  ?                    ?     2
`},
		"another zone": {cet, 80, `
JOB     LATEST   STARTED (UTC)        STARTED (LOCAL)          TOOK  RUN
backup  RUNNING  2020-12-08 23:47:08  2020-12-09 00:47:08 CET  1m0s  1
never   -
odd     RUNNING  ?                    ?                        ?     2
`},
		"a narrow terminal": {cet, 60, `
JOB     LATEST   STARTED (LOCAL)          TOOK  RUN
backup  RUNNING  2020-12-09 00:47:08 CET  1m0s  1
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
