//go:build unix

package main

import (
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

const (
	arrowDown = "\x1b[B"
	enter     = "\r"
	ctrlC     = "\x03"
)

// session is a program at a terminal.
type session struct {
	terminal *os.File
	cmd      *exec.Cmd
	ended    chan struct{}

	mu    sync.Mutex
	shown strings.Builder
}

// atTerminal starts a command with a terminal of that many columns.
func atTerminal(t *testing.T, cmd *exec.Cmd, columns uint16) *session {
	t.Helper()
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{terminal: terminal, cmd: cmd, ended: make(chan struct{})}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test has failed
		terminal.Close()
	})
	go func() {
		defer close(s.ended)
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf) // fails at the end, as terminals do
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// answer waits until the terminal shows a text, and types keys, one after the other.
func (s *session) answer(t *testing.T, text string, keys ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.text(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q, but %q", text, s.text())
		}
	}
	for _, key := range keys {
		if _, err := io.WriteString(s.terminal, key); err != nil {
			t.Fatal(err)
		}
	}
}

// wait returns what the terminal showed and the exit status.
func (s *session) wait(t *testing.T) (string, int) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatalf("the program does not end: %q", s.text())
	}
	_ = s.cmd.Wait() // the state says more
	return s.text(), s.cmd.ProcessState.ExitCode()
}

// atListServer is the program at a terminal, asking a server with lists.
func atListServer(t *testing.T, columns uint16, args ...string) *session {
	t.Helper()
	server := httptest.NewServer(api(filepath.Join(t.TempDir(), "log")))
	t.Cleanup(server.Close)
	cmd := exec.Command("northflank", args...)
	cmd.Env = append(
		os.Environ(),
		"TERM=xterm",
		"NO_COLOR=",
		"HOME="+t.TempDir(),
		hostEnv+"="+server.URL,
		tokenEnv+"=good-token",
	)
	return atTerminal(t, cmd, columns)
}

func TestPromptLeadsToRun(t *testing.T) {
	s := atListServer(t, 100, "get", "job", "run")
	s.answer(t, "Which project?", arrowDown, enter)
	s.answer(t, "Which job?", "CLEAN", enter) // a filter
	s.answer(t, "Which run?", arrowDown, arrowDown, enter)
	shown, status := s.wait(t)
	for _, want := range []string{
		"=> running command with: projectId=second, jobId=cleanup, runId=documented\r\n",
		"Run        example-job-5fcf67bc56e1913e21d49504\r\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the terminal does not show %q, but %q", want, shown)
		}
	}
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
	if !regexp.MustCompile(`\x1b\[\d+A\x1b\[J[^┃]*=> running`).MatchString(shown) { // up to its first line
		t.Errorf("the last question stays on the terminal: %q", shown)
	}
}

// TestPromptTakesKeysTypedAtOnce has keys that come in one piece, as over a slow line.
func TestPromptTakesKeysTypedAtOnce(t *testing.T) {
	s := atListServer(t, 100, "get", "job", "run", "--job", "cleanup", "--run", "documented")
	s.answer(t, "Which project?", arrowDown+enter)
	if shown, status := s.wait(t); status != exitOK || !strings.Contains(shown, "projectId=second, ") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

func TestPromptEndsWithCtrlC(t *testing.T) {
	s := atListServer(t, 100, "get", "job", "runs")
	s.answer(t, "Which project?", ctrlC)
	if shown, status := s.wait(t); status != exitInterrupted || strings.Contains(shown, "northflank: ") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

func TestPromptEndsWithSignal(t *testing.T) {
	s := atListServer(t, 100, "get", "job", "runs")
	s.answer(t, "Which project?")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if shown, status := s.wait(t); status != exitInterrupted || strings.Contains(shown, "=> running") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

func TestPromptShowsNoControlCharacters(t *testing.T) {
	s := atListServer(t, 100, "list", "jobs", "--project", "evil")
	if shown, status := s.wait(
		t,
	); status != exitOK ||
		strings.ContainsAny(strings.ReplaceAll(shown, "\x1b[33m", ""), "\a\u202e") {
		t.Errorf("table: exit status %d: %q", status, shown)
	}
	s = atListServer(t, 100, "get", "job", "runs", "--project", "evil")
	s.answer(t, `evil\a\u202e`, ctrlC)
	if shown, _ := s.wait(t); strings.ContainsAny(shown, "\a\u202e") {
		t.Errorf("question: %q", shown)
	}
}

func TestPromptFindsNothing(t *testing.T) {
	s := atListServer(t, 100, "list", "jobs", "--team", "empty")
	if shown, status := s.wait(t); status != exitError || !strings.Contains(shown, " has no project to choose from") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

// TestTableFitsTerminal has a terminal that is narrower than the table.
func TestTableFitsTerminal(t *testing.T) {
	s := atListServer(t, 50, "list", "jobs", "--project", "second")
	shown, status := s.wait(t)
	if status != exitOK ||
		!strings.Contains(shown, "\x1b[31mFAILED\x1b[m") && !strings.Contains(shown, "\x1b[31mFAILED\x1b[0m") {
		t.Errorf("exit status %d: %q", status, shown)
	}
	for line := range strings.Lines(shown) {
		line = strings.NewReplacer(
			"\x1b[31m",
			"",
			"\x1b[32m",
			"",
			"\x1b[33m",
			"",
			"\x1b[0m",
			"",
			"\x1b[m",
			"",
		).Replace(
			line,
		)
		if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 50 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
