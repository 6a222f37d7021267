package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// TestLog sends a token in every place that a caller might put it in by mistake.
func TestLog(t *testing.T) {
	store, valid := documentedStore(t)
	s := serve(t, store)
	invalid := "jobruns_" + strings.Repeat("Secret-4_", 5)[:43]
	ids := map[string]bool{}
	send := func(method, path string, header http.Header) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		ids[response.Header.Get("X-Request-Id")] = true
	}
	sent := 0
	for _, token := range []string{valid, invalid} {
		for _, authorization := range []string{"", "Bearer " + token, "Basic " + token, token, "Bearer " + token + " " + token} {
			header := http.Header{"Authorization": {authorization}}
			with := func(name string) http.Header {
				return http.Header{"Authorization": {authorization}, name: {token}}
			}
			for _, request := range []struct {
				method, path string
				header       http.Header
			}{
				{"GET", runPath, header},
				{"HEAD", runPath, header},
				{"POST", runPath, header},
				{token, runPath, header},
				{token, "/" + token, header},
				{"GET", "/" + token, header},
				{"GET", "/" + token + "/..%2f%00" + token, header},
				{"GET", "/v1/login?token=" + token, header},
				{"GET", "/v1/login?" + token + ";" + token, header},
				{"GET", "/v1/login/" + token, header},
				{"GET", "/v1/projects/" + token + "/jobs/j/runs/r", header},
				{"GET", "/v1/projects/p/jobs/-" + token + "/runs/r", header},
				{"GET", "/v1/projects/p/jobs/j/runs/" + token, header},
				{"GET", "/v1/projects/p/jobs/j/runs/" + token + "/logs", header},
				{"GET", "/v1/teams/" + token + "/projects/p/jobs/j/runs/r", header},
				{"GET", runPath, with("User-Agent")},
				{"GET", runPath, with("X-Request-Id")},
				{"GET", runPath, with("X-Forwarded-For")},
				{"GET", runPath, with("X-Real-Ip")},
				{"GET", runPath, with("X-Http-Method-Override")},
				{"GET", runPath, with("Cookie")},
				{"GET", runPath, with("Referer")},
				{"GET", runPath, with("Accept")},
				{"GET", runPath, with("Prefer")},
				{"GET", runPath, with("Content-Type")},
			} {
				send(request.method, request.path, request.header)
				sent++
			}
		}
		for _, text := range []string{token + "\r\n\r\n", "GET " + token + " HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + token + "/\r\n\r\n"} {
			raw(t, s, text, http.StatusBadRequest) // net/http rejects it without a log line
		}
	}
	if len(ids) != sent {
		t.Errorf("%d ids for %d requests", len(ids), sent)
	}
	s.stop(t, syscall.SIGTERM)
	for _, token := range []string{valid, invalid} {
		if strings.Contains(s.log.String(), strings.TrimPrefix(token, "jobruns_")) {
			t.Errorf("the log tells the token %s", token)
		}
	}
	for line := range strings.Lines(s.log.String()) {
		var entry struct{ Time, Level, Msg, ID string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" {
			t.Errorf("%v: %s", err, line)
		}
		if entry.Msg == "request" {
			if !ids[entry.ID] {
				t.Errorf("no response has the id in %s", line)
			}
			delete(ids, entry.ID)
		}
	}
	if len(ids) != 0 {
		t.Errorf("not in the log: %v", ids)
	}
}

func TestServeStops(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := serve(t, newStore(t))
		if state := s.stop(t, signal); state.ExitCode() != 0 {
			t.Errorf("%s: %s", signal, state)
		}
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, `"msg":"shutting down"`) {
			t.Errorf("%s: the last line of the log is %s", signal, last)
		}
	}
}

// TestServeStopsAmidARequest ends the server while half of a request has come: nothing has been
// promised yet, and the rest is not waited for.
func TestServeStopsAmidARequest(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	half := dial(t, s)
	defer half.Close()
	fmt.Fprintf(half, "GET %s HTTP/1.1\r\nHost: x\r\n", runPath)
	ask(t, s, token, runPath, http.StatusOK) // on a later connection: the server has accepted the first
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until it takes no more
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	fmt.Fprintf(half, "Authorization: Bearer %s\r\n\r\n", token)
	if rest, _ := io.ReadAll(half); len(rest) > 0 {
		t.Errorf("a response: %q", rest)
	}
	<-s.logged
	if err := s.process.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLogOnATerminal(t *testing.T) {
	terminal, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	store, token := documentedStore(t)
	cmd := program(t, "jobrund", "serve", "--addr", "127.0.0.1:0", "--store", store)
	cmd.Stderr = line
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line.Close()
	defer func() { _ = cmd.Process.Kill() }() // which it does not need if all went well
	first := strings.TrimSpace(readLine(t, terminal))
	before, url, found := strings.Cut(first, "url=")
	if !found || !strings.Contains(before, "level=INFO msg=serving") {
		t.Fatalf("the first line is %q", first)
	}
	ask(t, &apiServer{url: url}, token, runPath, http.StatusOK)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(terminal) // ends with an error when nobody has the other side open any more
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(rest), "level=INFO msg=request method=GET") ||
		!strings.Contains(string(rest), `msg="shutting down"`) {
		t.Errorf("the log: %s", rest)
	}
}

func TestShutdownDelayInDays(t *testing.T) {
	s := serve(t, newStore(t), "--shutdown-delay", "0d")
	if state := s.stop(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("%v", state)
	}
}
