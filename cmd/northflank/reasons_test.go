package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/client"
)

// reasonsOf asks a server for the reasons of n runs that failed.
func reasonsOf(t *testing.T, n, most int, answer http.HandlerFunc) *reasons {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, client.WithToken("t"))
	if err != nil {
		t.Fatal(err)
	}
	return findReasons(t.Context(), c, n, most, func(i int) (*client.JobRun, client.RunRef) {
		ref := client.RunRef{Project: "p", Job: "j", Run: fmt.Sprint(i)}
		return &client.JobRun{Status: client.JobRunStatusFailed}, ref
	})
}

const bareOutcome = `{"data": {"reason": "ExitStatus", "message": "exit status 1", "attempts": []}}`

func (w *reasons) count() (known int) {
	for _, found := range w.found {
		if found != nil {
			known++
		}
	}
	return known
}

func TestFindReasonsAsksForSoManyUnlessAllAreWanted(t *testing.T) {
	var asked atomic.Int32
	answer := func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, bareOutcome)
	}
	w := reasonsOf(t, mostReasons+20, mostReasons, answer)
	want := "The reasons of 20 runs that failed are left out: more than 100: --outcome asks for all.\n"
	if diff := cmp.Diff(want, w.note()); diff != "" || w.count() != mostReasons || asked.Load() != mostReasons {
		t.Errorf("%d known after %d requests, want %d; note (-want +got):\n%s", w.count(), asked.Load(), mostReasons, diff)
	}
	if w := reasonsOf(t, mostReasons+20, -1, answer); w.count() != mostReasons+20 || w.note() != "" {
		t.Errorf("%d are known, want %d: %s", w.count(), mostReasons+20, w.note())
	}
}

// The requests that are on their way when the limit is reached still come.
func TestFindReasonsLeavesTheLastTenthOfTheRequestsAlone(t *testing.T) {
	var left atomic.Int32
	left.Store(30)
	w := reasonsOf(t, 50, -1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(left.Add(-1)))
		io.WriteString(w, bareOutcome)
	})
	if spent := 30 - int(left.Load()); spent < 20 || spent > 20+reasonsAtOnce || w.count() != spent {
		t.Errorf("%d requests were made, %d reasons are known, want 20", spent, w.count())
	}
	if note := w.note(); !strings.Contains(note, "left out: the token has few requests left.") {
		t.Errorf("note %q", note)
	}
}

func TestFindReasonsAsksOnceWhereNoneAreKnown(t *testing.T) {
	for _, status := range []int{403, 404, 405, 501} {
		var asked atomic.Int32
		w := reasonsOf(t, 10, -1, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(status)
		})
		if asked.Load() != 1 || w.known() || w.note() != "" {
			t.Errorf("%d: %d requests, known: %v, note %q", status, asked.Load(), w.known(), w.note())
		}
	}
}

// One that is in trouble, or has been removed since, is not the end of it.
func TestFindReasonsGoesOnAfterAnError(t *testing.T) {
	w := reasonsOf(t, 4, -1, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/runs/0/"):
			w.WriteHeader(500)
		case strings.Contains(r.URL.Path, "/runs/1/"):
			w.WriteHeader(404)
		default:
			io.WriteString(w, bareOutcome)
		}
	})
	if note := w.note(); w.count() != 2 || !strings.Contains(note, "Not every reason could be asked for: ") {
		t.Errorf("%d are known, want 2; note %q", w.count(), note)
	}
	for i, want := range []string{"?", "?", "exit status 1", "exit status 1"} {
		if _, got := w.cells(i); got != want {
			t.Errorf("run %d: %q, want %q", i, got, want)
		}
	}
}

// A narrow terminal takes some of the reason, then the ID, and then of everything.
func TestTableOfReasonsFitsTheTerminal(t *testing.T) {
	made := table{
		headers: []string{"JOB", "HOST", "REASON", "RUN"}, text: "REASON", spare: []string{"RUN"},
		rows: [][]string{
			{"backup", "web-1", "executable file not found in $PATH", "7a110511-6626"},
			{"report", "web-2", "exit status 23", "c9ca98f9-1c7f"},
		},
	}
	for width, want := range map[int]string{
		0: `JOB     HOST   REASON                              RUN
backup  web-1  executable file not found in $PATH  7a110511-6626
report  web-2  exit status 23                      c9ca98f9-1c7f
`,
		60: `JOB     HOST   REASON                          RUN
backup  web-1  executable file not found in …  7a110511-6626
report  web-2  exit status 23                  c9ca98f9-1c7f
`,
		50: `JOB     HOST   REASON
backup  web-1  executable file not found in $PATH
report  web-2  exit status 23
`,
		40: `JOB     HOST   REASON
backup  web-1  executable file not foun…
report  web-2  exit status 23
`,
		30: `JOB     HOST   REASON
backup  web-1  executable fil…
report  web-2  exit status 23
`,
	} {
		if diff := cmp.Diff(want, made.render(width)); diff != "" {
			t.Errorf("%d wide (-want +got):\n%s", width, diff)
		}
	}
	if widest := lipgloss.Width(made.render(20)); widest > 20 {
		t.Errorf("%d wide, in a terminal of 20", widest)
	}
}
