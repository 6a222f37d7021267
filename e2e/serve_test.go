package e2e

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

func TestServeStops(t *testing.T) {
	t.Parallel()
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

func TestLogOnATerminal(t *testing.T) {
	t.Parallel()
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
