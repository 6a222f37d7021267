package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/client"
)

func TestSummary(t *testing.T) {
	started := time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	after := func(d time.Duration) *time.Time { return new(started.Add(d)) }
	for name, tt := range map[string]struct {
		run   client.JobRun
		color bool
		want  string
	}{
		"success": {
			client.JobRun{RunName: "a", ID: "1", Completions: 1, Concluded: true, Status: client.JobRunStatusSuccess, ConcludedAt: after(5*time.Minute + 400*time.Millisecond)},
			true,
			"Run        a\nID         1\nStatus     \x1b[32mSUCCESS\x1b[0m\nAttempts   1 attempt, no retries allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  2020-12-08 11:52:08 UTC (3 days ago), after 5m\n",
		},
		"failed": {
			client.JobRun{RunName: "a", ID: "1", Completions: 3, BackoffLimit: 2, Concluded: true, Status: client.JobRunStatusFailed, ConcludedAt: after(26 * time.Hour)},
			true,
			"Run        a\nID         1\nStatus     \x1b[31mFAILED\x1b[0m\nAttempts   3 attempts, 2 retries allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  2020-12-09 13:47:08 UTC (2 days ago), after 1d2h\n",
		},
		"concluded before it started": {
			client.JobRun{RunName: "a", ID: "1", Completions: 1, Concluded: true, Status: client.JobRunStatusFailed, ConcludedAt: after(-816 * time.Hour)},
			false,
			"Run        a\nID         1\nStatus     FAILED\nAttempts   1 attempt, no retries allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  2020-11-04 11:47:08 UTC (1 month ago), after 0s\n",
		},
		"running": {
			client.JobRun{RunName: "a\tb", ID: "1", BackoffLimit: 1, Status: client.JobRunStatusRunning},
			true,
			"Run        a\\tb\nID         1\nStatus     \x1b[33mRUNNING\x1b[0m\nAttempts   0 attempts ended, 1 retry allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  not yet, running for 3d4h\n",
		},
		"no color, no time": {
			client.JobRun{RunName: "a", ID: "1", Concluded: true, Status: client.JobRunStatusFailed},
			false,
			"Run        a\nID         1\nStatus     FAILED\nAttempts   0 attempts, no retries allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  yes, the server does not say when\n",
		},
		"unknown status": {
			client.JobRun{RunName: "a", ID: "1", Status: "\x1b[2J"},
			true,
			"Run        a\nID         1\nStatus     \\x1b[2J\nAttempts   0 attempts ended, no retries allowed\n" +
				"Started    2020-12-08 11:47:08 UTC (3 days ago)\nConcluded  not yet, after 3d4h\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.run.StartedAt = started.In(time.FixedZone("", 3600))
			got := shownRun{JobRun: &tt.run}.summary(*after(76 * time.Hour), tt.color)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMomentSaysLocalTimeToo(t *testing.T) {
	at := time.Date(2020, 12, 8, 23, 47, 8, 0, time.UTC)
	for _, tt := range []struct {
		zone *time.Location
		want string
	}{
		{time.UTC, "2020-12-08 23:47:08 UTC (1 hour ago)"},
		{time.FixedZone("CET", 3600), "2020-12-08 23:47:08 UTC, 2020-12-09 00:47:08 CET (1 hour ago)"},
		{time.FixedZone("GMT", 0), "2020-12-08 23:47:08 UTC (1 hour ago)"},
	} {
		if got := moment(at, at.Add(time.Hour).In(tt.zone)); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.zone, got, tt.want)
		}
	}
}

func TestNormalizeHost(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		" / ":                       "",
		"api.example.com":           "https://api.example.com",
		"localhost:8080/":           "https://localhost:8080",
		" HTTP://A.Example:80/B// ": "http://a.example:80/B",
		"http://a b":                "http://a b",
	} {
		if got := normalizeHost(in); got != want {
			t.Errorf("normalizeHost(%q) = %q, want %q", in, got, want)
		}
	}
}
