package main

import (
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
)

func TestLiveLine(t *testing.T) {
	began := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	run := func(status client.JobRunStatus, attempts int, after time.Duration) *client.JobRun {
		return &client.JobRun{Status: status, Completions: attempts, StartedAt: began.Add(after)}
	}
	for want, tt := range map[string]struct {
		run     *client.JobRun
		trouble string
		color   bool
	}{
		"waiting, 1m0s":                                  {nil, "", true},
		"waiting, 1m0s; refused":                         {nil, "refused", true},
		"RUNNING, 0 attempts ended, 1h1m0s":              {run(client.JobRunStatusRunning, 0, -time.Hour), "", false},
		"\x1b[33mRUNNING\x1b[0m, 1 attempt ended, 50s":   {run(client.JobRunStatusRunning, 1, 10*time.Second), "", true},
		"\\x1b[2J, 2 attempts ended, 2d0s":               {run("\x1b[2J", 2, time.Minute-48*time.Hour), "", true},
		"RUNNING, 0 attempts ended, 0s; cannot be asked": {run(client.JobRunStatusRunning, 0, time.Hour), "cannot be asked", false}, // its clock is ahead
	} {
		if got := liveLine(tt.run, tt.trouble, began, began.Add(time.Minute), tt.color); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
