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
	"syscall"
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
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Preference-Applied", r.Header.Get("Prefer"))
		if r.Header.Get("Prefer") != "wait=0" {
			<-r.Context().Done()
		}
		io.WriteString(w, runs["running"].body)
	}))
	defer server.Close()
	// The test keeps its own end open: Linux may lose what a program has written when the last one
	// closes.
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	defer tty.Close()
	cmd := command(t, server.URL, "--wait")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := readUntil(t, terminal, "RUNNING\x1b[0m for ")
	shown += readUntil(t, terminal, wrapOn)
	io.WriteString(terminal, "\x03")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v, want exit status %d", err, exitInterrupted)
	}
	io.WriteString(tty, "the end")
	rest := readUntil(t, terminal, "the end")
	// The terminal shows ^C itself, before or after what the program writes then.
	if last := strings.ReplaceAll(rest, "^C", ""); !strings.HasSuffix(last, clearLine+"the end") {
		t.Errorf("the terminal shows %q and then %q", shown, rest)
	}
}

// readUntil reads to the end of the text.
func readUntil(t *testing.T, from io.Reader, text string) string {
	t.Helper()
	var read []byte
	for next := make([]byte, 1); !bytes.HasSuffix(read, []byte(text)); read = append(read, next...) {
		if _, err := io.ReadFull(from, next); err != nil {
			t.Fatalf("%v after %q", err, read)
		}
	}
	return string(read)
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
