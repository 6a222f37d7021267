package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
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

func TestWithMemberKeepsWhatTheServerSent(t *testing.T) {
	for sent, want := range map[string]string{
		"{\"id\": 1, \"of\": {\"a\": {}}}\n": `{"id": 1, "of": {"a": {}},"outcome":{"reason":1e3}}`,
		`{"id": 1, "outcome": "theirs"}`:     `{"id": 1, "outcome": "theirs"}`,
	} {
		got, err := withMember(json.RawMessage(sent), "outcome", json.RawMessage(`{"reason":1e3}`))
		if string(got) != want || err != nil {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
	}
}

func TestFindReasonsStopsAtLimits(t *testing.T) {
	const outcome = `{"data": {"reason": "ExitStatus", "message": "exit status 1", "attempts": []}}`
	for name, tt := range map[string]struct {
		runs, most  int
		status      map[string]int // by run; 200 for others
		left        int            // requests before the first; 0 for no limit
		asked, more int            // number of requests, and of those that may be on their way then
		note        string         // a part of it
	}{
		"all":                 {runs: 120, most: math.MaxInt, asked: 120},
		"at most 100":         {runs: 120, most: 100, asked: 100, note: "The reasons of 20 runs that failed are left out: more than 100: --"},
		"the last tenth":      {runs: 50, most: math.MaxInt, left: 30, asked: 20, more: reasonsAtOnce, note: "the token has few requests left."},
		"error":               {runs: 4, most: 4, status: map[string]int{"0": 500}, asked: 4, note: "Not every reason could be asked for: "},
		"removed run":         {runs: 4, most: 4, status: map[string]int{"1": 404}, asked: 4},
		"no permission":       {runs: 4, most: 4, status: map[string]int{"0": 403}, asked: 1},
		"unknown operation":   {runs: 4, most: 4, status: map[string]int{"0": 404}, asked: 1},
		"other method":        {runs: 4, most: 4, status: map[string]int{"0": 405}, asked: 1},
		"not implemented yet": {runs: 4, most: 4, status: map[string]int{"0": 501}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked := int(requests.Add(1))
				w.Header().Set("Content-Type", "application/json")
				if tt.left > 0 {
					w.Header().Set("X-RateLimit-Limit", "100")
					w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(tt.left-asked))
				}
				if status := tt.status[path.Base(path.Dir(r.URL.Path))]; status > 0 {
					w.WriteHeader(status)
				}
				io.WriteString(w, outcome)
			}))
			defer server.Close()
			c, err := client.New(server.URL, client.WithToken("t"))
			if err != nil {
				t.Fatal(err)
			}
			runs := make([]listedRun, tt.runs)
			for i := range runs {
				runs[i].Status, runs[i].ref = client.JobRunStatusFailed, client.RunRef{Project: "p", Job: "j", Run: fmt.Sprint(i)}
			}
			found := findReasons(t.Context(), c, runs, tt.most)
			known := 0
			for _, run := range runs {
				if run.why != nil {
					known++
				}
			}
			asked := int(requests.Load())
			if asked < tt.asked || asked > tt.asked+tt.more || known != asked-len(tt.status) || found.known != (known > 0) {
				t.Errorf("%d are known after %d requests, want %d to %d", known, asked, tt.asked, tt.asked+tt.more)
			}
			if note := found.note(); !strings.Contains(note, tt.note) || (note == "") != (tt.note == "") {
				t.Errorf("note %q, want %q", note, tt.note)
			}
		})
	}
}
