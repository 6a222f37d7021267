package main

import (
	"testing"

	"github.com/jobruns/jobruns/client"
)

func TestReasonSentence(t *testing.T) {
	ended := func(number int, message string) client.JobRunAttempt {
		return client.JobRunAttempt{Number: number, Reason: "ExitStatus", Message: message}
	}
	of := func(message, host string, attempts ...client.JobRunAttempt) client.JobRunOutcome {
		o := client.JobRunOutcome{Reason: new("Word"), Message: &message, Attempts: attempts}
		if host != "" {
			o.Host = &host
		}
		return o
	}
	for want, tt := range map[string]struct {
		outcome client.JobRunOutcome
		retries int
	}{
		"exit status 23 on web-1":                    {of("exit status 23", "web-1", ended(1, "exit status 23")), 0},
		"exit status 23, 1st attempt of 3":           {of("exit status 23", "", ended(1, "exit status 23")), 2},
		"exit status 3 on h, 11th attempt of 12":     {of("exit status 3", "h", ended(11, "exit status 3")), 11},
		"exit status 3 on h, 4th attempt":            {of("exit status 3", "h", ended(4, "exit status 3")), 1},
		"Word":                                       {of("", ""), 0},
		"no word of how it went on":                  {of("no word of how it went on.", ""), 2},
		"too late; 7th attempt: exit status 2":       {of("too late.", "", ended(7, "exit status 2.")), 0},
		"died on h; 2nd attempt of 3: exit status 1": {of("died", "h", ended(1, ""), ended(2, "exit status 1")), 2},
		"interrupted by signal 15 (TERM): exit status 1, 1st attempt of 2": {
			of("interrupted by signal 15 (TERM): exit status 1", "", ended(1, "exit status 1")), 1,
		},
	} {
		why := &reason{JobRunOutcome: &tt.outcome}
		if got := why.sentence(&client.JobRun{BackoffLimit: tt.retries}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (&reason{JobRunOutcome: &client.JobRunOutcome{}}).sentence(&client.JobRun{}); got != "" {
		t.Errorf("of a run that goes on: %q", got)
	}
}
