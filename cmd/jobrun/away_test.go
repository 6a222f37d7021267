package main

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// hanging responds when the client has gone.
var hanging = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // net/http does not see the end of the connection before
	<-r.Context().Done()
})

// TestCommandDoesNotWaitForServer has servers that are of no use. The command ends before they
// respond, jobrun ends within 10 s of the command, and another jobrun delivers the record.
func TestCommandDoesNotWaitForServer(t *testing.T) {
	t.Parallel()
	respond := func(status int, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		})
	}
	var all sync.WaitGroup
	defer all.Wait()
	for name, handler := range map[string]http.Handler{
		"absent":            nil,
		"500":               respond(500, ""),
		"429":               respond(429, ""),
		"garbage":           respond(200, "<html>"),
		"wrong certificate": respond(200, ""),
		"hanging":           hanging,
	} {
		all.Go(func() { // all at once: they wait, and t.Parallel lets few wait at once
			t.Run(name, func(t *testing.T) { testCommandDoesNotWait(t, name, handler) })
		})
	}
}

func testCommandDoesNotWait(t *testing.T, name string, handler http.Handler) {
	h := newHost(t, handler)
	if name == "wrong certificate" {
		server := httptest.NewTLSServer(handler)
		t.Cleanup(server.Close)
		h.env = append(h.env, "JOBRUN_SERVER="+server.URL)
	}
	cmd := h.command("--quiet", "--keep-output", "1KiB", "sh", "-c", "echo printed; touch started; exit 3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the command", exists(h.path("started")))
	ended := time.Now()
	if status := wait(t, cmd, nil); status != 3 || time.Since(ended) > 10*time.Second {
		t.Errorf("status %d after %v", status, time.Since(ended))
	}
	files := h.files(".json")
	if len(files) != 1 {
		t.Fatalf("the spool has %v", files)
	}
	text, err := os.ReadFile(files[0])
	if info, statErr := os.Stat(files[0]); err != nil || statErr != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, %v", info, err, statErr)
	}
	if strings.Contains(string(text), token) {
		t.Errorf("the file has the token: %s", text)
	}
	// The same server, when it works again.
	s := &store{}
	server := httptest.NewServer(s)
	defer server.Close()
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	e.URL = server.URL
	h.write("spool/a.json", string(e.line()))
	_ = os.Remove(files[0])
	if _, stderr, status := h.run("--server", server.URL, "--quiet", "--run", "next", "true"); status != 0 ||
		stderr != "" {
		t.Errorf("status %d, %s", status, stderr)
	}
	record := s.get("/v1/projects/p/jobs/j/runs/" + e.Run)
	if !record.Run.Concluded || logOf(record) != "printed" || *record.Outcome.ExitStatus != 3 ||
		len(h.files("")) > 0 {
		t.Errorf("%+v, %v", record, h.files(""))
	}
}

func TestRunWithoutTokenGoesToSpool(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	h.env = append(h.env, "JOBRUN_TOKEN_FILE=")
	_, stderr, status := h.run("--run", "first", "sh", "-c", "exit 3")
	if status != 3 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no token: write one to ") ||
		len(h.files("")) != 1 {
		t.Errorf("status %d, %v, %s", status, h.files(""), stderr)
	}
	h.env = append(h.env, "JOBRUN_TOKEN="+token)
	if _, stderr, status := h.run("--run", "second", "true"); status != 0 || stderr != "jobrun: run second\n" ||
		s.count() != 2 {
		t.Errorf("status %d, %d, %s", status, s.count(), stderr)
	}
}

func TestTokenFileInHomeIsUsed(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	if err := os.MkdirAll(h.path("config/jobruns"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("config/jobruns/token", token)
	h.env = append(h.env, "JOBRUN_TOKEN_FILE=", "XDG_CONFIG_HOME="+h.path("config"))
	if _, stderr, status := h.run("true"); status != 0 || s.count() != 1 {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestUsedRunIDIsReportedAtTheEnd(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	h.run("--run", "r", "true")
	stdout, stderr, status := h.run("--run", "r", "sh", "-c", "sleep 0.1; echo ran; exit 4")
	if status != 4 || stdout != "ran\n" || !strings.Contains(stderr, "run r was rejected") ||
		!strings.Contains(stderr, "409") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if record := s.only(t); *record.Outcome.ExitStatus != 0 || len(h.files("")) > 0 {
		t.Errorf("%+v, %v", record.Outcome, h.files(""))
	}
}

func TestRecordIsPrintedIfSpoolCannotBeWritten(t *testing.T) {
	h := newHost(t, nil)
	h.env = append(h.env, "JOBRUN_SPOOL="+h.path("token/spool"), "JOBRUN_TOKEN_FILE=")
	_, stderr, status := h.run("--run", "r", "--keep-output", "1KiB", "sh", "-c", "echo printed")
	if status != 0 || strings.Count(stderr, "\n") != 2 {
		t.Fatalf("status %d, %s", status, stderr)
	}
	s := &store{}
	server := httptest.NewServer(s)
	defer server.Close()
	stderr = strings.ReplaceAll(stderr, h.server, server.URL)
	for name, want := range map[string]int{"no-such-token": 1, "token": 0} {
		cmd := h.command("--server", server.URL, "--token-file", h.path(name), "--flush", "-")
		cmd.Stdin = strings.NewReader("Subject: cron\n\n" + stderr)
		if status := wait(t, cmd, cmd.Start()); status != want {
			t.Errorf("%s: status %d, want %d", name, status, want)
		}
	}
	if record := s.only(t); logOf(record) != "printed" {
		t.Errorf("%+v", record)
	}
}

// A signal that asks jobrun to end while it delivers ends it soon, with the record in the spool.
func TestSignalEndsDelivery(t *testing.T) {
	t.Parallel()
	h := newHost(t, hanging)
	cmd := h.command("--deliver-within", "5m", "touch", "ran")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the command", exists(h.path("ran")))
	await(t, "the spool", func() bool { return len(h.files(".json")) == 1 })
	began := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if status := wait(t, cmd, nil); status != 0 || time.Since(began) > 4*time.Second || len(h.files(".json")) != 1 {
		t.Errorf("status %d after %v, %v", status, time.Since(began), h.files(""))
	}
}
