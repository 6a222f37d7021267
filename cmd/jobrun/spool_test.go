package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/server/jobrun"
)

// waiting adds a record to the spool of the host, and returns the record's entry.
func (h *testHost) waiting(run string) entry {
	h.t.Helper()
	record := jobrun.Record{Outcome: jobrun.NewOutcome("h")}
	record.Run.RunName = "name-" + run
	record.Conclude(time.Now(), true, jobrun.End{Reason: jobrun.ReasonCompleted})
	e := entry{server: server{URL: h.server, TokenFile: h.path("token")}, key: key{Project: "p", Job: "j", Run: run}}
	e.Report = reportOf(record)
	e.Report.Log = &[]client.LogLine{{TS: time.Now().UTC(), Log: "printed"}}
	if _, err := (spool{h.path("spool")}).add(e); err != nil {
		h.t.Fatal(err)
	}
	return e
}

func TestFlushKeepsRejectsAndRemovesFiles(t *testing.T) {
	for _, test := range []struct {
		refusal        int // the server responds with it
		status         int
		waits, rejects int // files afterwards
		print          string
	}{
		{0, 0, 0, 0, "run r of p/j is recorded"},
		{400, 1, 0, 1, "run r of p/j was rejected"}, {409, 1, 0, 1, "run r of p/j was rejected"},
		{413, 1, 0, 1, "run r of p/j was rejected"},
		{401, 1, 1, 0, "is not recorded yet"}, {403, 1, 1, 0, "is not recorded yet"}, {404, 1, 1, 0, "is not recorded yet"},
		{415, 1, 1, 0, "is not recorded yet"}, {429, 1, 1, 0, "is not recorded yet"}, {500, 1, 1, 0, "is not recorded yet"},
		{503, 1, 1, 0, "is not recorded yet"},
	} {
		s := &store{refuse: func(*http.Request, client.JobRunReport) int { return test.refusal }}
		h := newHost(t, s)
		h.waiting("r")
		_, stderr, status := h.run("--flush")
		waits, rejects := h.files(".json"), h.files(".rejected")
		if status != test.status || len(waits) != test.waits || len(rejects) != test.rejects ||
			!strings.Contains(stderr, test.print) {
			t.Errorf("%d: status %d, %v, %v, %s", test.refusal, status, waits, rejects, stderr)
		}
		if len(rejects) == 1 {
			text, _ := os.ReadFile(rejects[0])
			if !strings.Contains(string(text), `"rejected":"PUT http://`) || !strings.Contains(string(text), "refused") {
				t.Errorf("%d: %s", test.refusal, text)
			}
		}
		if _, stderr, status := h.run("--flush", "--quiet"); test.waits == 0 && (status != 0 || stderr != "") {
			t.Errorf("%d, again: status %d, %s", test.refusal, status, stderr)
		}
	}
}

func TestFlushKeepsAFileThatAProxyRefuses(t *testing.T) {
	for _, status := range []int{400, 409, 413} {
		h := newHost(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Client sent an HTTP request to an HTTPS server.", status)
		}))
		h.waiting("r")
		if _, stderr, exit := h.run("--flush"); exit != 1 || len(h.files(".json")) != 1 ||
			!strings.Contains(stderr, "is not recorded yet") || !strings.Contains(stderr, "HTTPS") {
			t.Errorf("%d: status %d, %v, %s", status, exit, h.files(""), stderr)
		}
	}
}

func TestTooLargeReportIsSentWithoutLog(t *testing.T) {
	s := &store{refuse: func(_ *http.Request, report client.JobRunReport) int {
		if report.Log != nil {
			return http.StatusRequestEntityTooLarge
		}
		return 0
	}}
	h := newHost(t, s)
	if _, stderr, status := h.run("--keep-output", "1KiB", "echo", "a"); status != 0 || !s.only(t).Run.Concluded {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestFlushUsesServerAndTokenOfEachFile(t *testing.T) {
	s, other := &store{}, &store{}
	h := newHost(t, s)
	second := httptest.NewServer(other)
	defer second.Close()
	h.waiting("mine")
	own := h.server
	h.server = second.URL
	h.waiting("other")
	h.server = "http://127.0.0.1:1"
	for i := range 3 { // the server is asked once
		h.waiting(fmt.Sprint("away-", i))
	}
	h.write("spool/garbage.json", "{")
	h.env = append(h.env, "JOBRUN_TOKEN_FILE=/no/such/file")

	_, stderr, status := h.run("--quiet", "--run", "r", "--token-file", h.path("token"), "true")
	if status != 0 || s.count() != 2 || other.count() != 0 {
		t.Errorf("the next jobrun: status %d, %d, %d, %s", status, s.count(), other.count(), stderr)
	}
	_, stderr, status = h.run("--flush")
	if status != 1 || other.count() != 1 || len(h.files(".json")) != 3 ||
		strings.Count(stderr, "is not recorded yet") != 3 {
		t.Errorf("--flush: status %d, %d, %v, %s", status, other.count(), h.files(""), stderr)
	}
	if len(h.files(".rejected")) != 1 {
		t.Errorf("%s has %v", own, h.files(""))
	}
}

// A token from the environment is only sent to its server, and only the token of the record's run:
// that of another team would put the run there.
func TestRecordIsOnlyDeliveredToItsServerWithItsToken(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	e := h.waiting("r")
	e.TokenFile, e.TokenHash = "", fmt.Sprintf("%x", sha256.Sum256([]byte(token)))
	h.write("spool/"+filepath.Base(h.files(".json")[0]), string(e.line()))
	h.env = append(h.env, "JOBRUN_TOKEN_FILE=")
	for _, test := range []struct {
		server, token string
		status        int
	}{{h.server, "other", 1}, {"http://127.0.0.1:2", token, 1}, {h.server, token, 0}} {
		h.env = append(h.env, "JOBRUN_TOKEN="+test.token)
		_, stderr, status := h.run("--server", test.server, "--flush")
		if status != test.status || s.count() != 1-status || strings.Contains(stderr, "tokenHash") != (status == 1) {
			t.Errorf("%+v: status %d, %s", test, status, stderr)
		}
	}
}

func TestFlushNamesASpoolThatIsNoFolder(t *testing.T) {
	h := newHost(t, &store{})
	if _, stderr, status := h.run("--flush", "--spool", h.path("token")); status != 1 || !strings.Contains(stderr, "token") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestOneProcessDeliversAtATime(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	h.waiting("waits")
	folder, err := os.Open(h.path("spool"))
	if err != nil || unix.Flock(int(folder.Fd()), unix.LOCK_EX) != nil {
		t.Fatal(err)
	}
	if _, stderr, status := h.run("--run", "r", "true"); status != 0 || s.count() != 1 || len(h.files(".json")) != 1 {
		t.Errorf("status %d, %d, %s", status, s.count(), stderr)
	}
	folder.Close()
	if _, stderr, status := h.run("--flush"); status != 0 || s.count() != 2 {
		t.Errorf("status %d, %d, %s", status, s.count(), stderr)
	}
}

func TestSpoolHasAtMost1000Files(t *testing.T) {
	h := newHost(t, nil)
	h.waiting("first")
	for i := range maxFiles - 1 {
		h.write(fmt.Sprintf("spool/%d.json", i), "{}")
	}
	if _, err := (spool{h.path("spool")}).add(entry{}); err == nil ||
		!strings.Contains(err.Error(), "has 1000 files already") {
		t.Error(err)
	}
}

func TestSpoolIsInStateFolder(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	want := "/state/jobrun"
	if os.Geteuid() == 0 {
		want = "/var/spool/jobrun"
	}
	if got := defaultSpool(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
