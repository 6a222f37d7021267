package main

import (
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
)

func TestLiveLine(t *testing.T) {
	began := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	run := func(status client.JobRunStatus, attempts int, after time.Duration) *client.JobRun {
		return &client.JobRun{Status: status, Completions: attempts, BackoffLimit: 1, StartedAt: began.Add(after)}
	}
	for want, tt := range map[string]struct {
		run     *client.JobRun
		trouble string
		color   bool
	}{
		"waiting for 1m":          {nil, "", true},
		"waiting for 1m; refused": {nil, "refused", true},
		"RUNNING for 1h1m, 0 attempts ended, 1 retry allowed": {
			run(client.JobRunStatusRunning, 0, -time.Hour), "", false,
		},
		"\x1b[33mRUNNING\x1b[0m for 50s, 1 attempt ended, 1 retry allowed": {
			run(client.JobRunStatusRunning, 1, 10*time.Second), "", true,
		},
		"\\x1b[2J after 2d, 2 attempts ended, 1 retry allowed": {run("\x1b[2J", 2, time.Minute-48*time.Hour), "", true},
		"RUNNING for 0s, 0 attempts ended, 1 retry allowed; cannot be asked": { // its clock is ahead
			run(client.JobRunStatusRunning, 0, time.Hour), "cannot be asked", false,
		},
		"RUNNING, 0 attempts ended, no retries allowed": {
			&client.JobRun{Status: client.JobRunStatusRunning}, "", false,
		},
	} {
		if got := liveLine(tt.run, tt.trouble, began, began.Add(time.Minute), tt.color); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
