//go:build unix

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// command is the program, asking the server for the documented run.
func command(t *testing.T, server string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(
		"northflank",
		append(
			[]string{"get", "job", "run", "--project", "p", "--job", "j", "--run", "documented", "-o", "json"},
			args...)...)
	cmd.Env = append(
		os.Environ(),
		"NO_COLOR=",
		"TERM=xterm",
		"HOME="+t.TempDir(),
		hostEnv+"="+server,
		tokenEnv+"=good-token",
	)
	return cmd
}

func TestInterrupt(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	cmd := command(t, server.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v, want exit status %d", err, exitInterrupted)
	}
}

// TestInterruptClearsLine presses Ctrl-C while a terminal shows how a run is doing.
func TestInterruptClearsLine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Preference-Applied", r.Header.Get("Prefer"))
		if r.Header.Get("Prefer") != "wait=0" {
			<-r.Context().Done()
		}
		io.WriteString(w, runs["running"].body)
	}))
	defer server.Close()
	cmd := command(t, server.URL, "--wait")
	terminal, err := pty.Start(cmd) // standard input, output and error, and where Ctrl-C comes from
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	shown := make([]byte, 0, 4096)
	for n := 0; !bytes.Contains(shown, []byte(wrapOn)); shown = shown[:len(shown)+n] {
		if n, err = terminal.Read(shown[len(shown):cap(shown)]); err != nil {
			t.Fatalf("%v after %q", err, shown)
		}
	}
	io.WriteString(terminal, "\x03")
	rest, _ := io.ReadAll(terminal) // fails at the end, as terminals do
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v, want exit status %d", err, exitInterrupted)
	}
	if !strings.Contains(string(shown), "RUNNING\x1b[0m, 0 attempts ended, ") ||
		!strings.HasSuffix(string(rest), clearLine) {
		t.Errorf("the terminal shows %q and then %q", shown, rest)
	}
}

func TestBrokenPipe(t *testing.T) {
	server := httptest.NewServer(api(filepath.Join(t.TempDir(), "log")))
	defer server.Close()
	nobody, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	defer pipe.Close()
	cmd := command(t, server.URL)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = pipe, &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != exitError || !strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("%v, want exit status %d; standard error: %s", err, exitError, stderr.String())
	}
}
