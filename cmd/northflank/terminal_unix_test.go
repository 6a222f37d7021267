//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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

// documentedRunArgs are the arguments that ask for the documented run.
var documentedRunArgs = []string{"get", "job", "run", "--project", "p", "--job", "j", "--run", "documented", "-o", "json"}

// program returns the program as a command that asks a server with this handler.
func program(t *testing.T, handler http.Handler, args ...string) *exec.Cmd {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "northflank", args...)
	cmd.Env = append(os.Environ(),
		"TERM=xterm", "NO_COLOR=", "HOME="+t.TempDir(), hostEnv+"="+server.URL, tokenEnv+"=good-token")
	return cmd
}

// session is a program at a terminal.
type session struct {
	terminal, tty *os.File
	cmd           *exec.Cmd

	mu    sync.Mutex
	shown strings.Builder
}

// atTerminal starts a command at a terminal with a number of columns.
func atTerminal(t *testing.T, cmd *exec.Cmd, columns uint16) *session {
	t.Helper()
	// The test keeps tty open: Linux may lose the last output of a program when nobody has it open.
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 30, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &session{terminal: terminal, tty: tty, cmd: cmd}
	t.Cleanup(func() { tty.Close(); terminal.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf) // fails at the end of the test
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

// answer waits until the terminal shows a text, types keys one after the other, and returns all that
// the terminal showed.
func (s *session) answer(t *testing.T, text string, keys ...string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		shown := s.shown.String()
		s.mu.Unlock()
		if strings.Contains(shown, text) {
			for _, key := range keys {
				if _, err := io.WriteString(s.terminal, key); err != nil {
					t.Fatal(err)
				}
			}
			return shown
		}
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q, but %q", text, shown)
		}
	}
}

// wait returns what the terminal showed and the exit status.
func (s *session) wait(t *testing.T) (string, int) {
	t.Helper()
	_ = s.cmd.Wait() // the exit status is in the state
	const end = "the end of the test"
	if _, err := io.WriteString(s.tty, end); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(s.answer(t, end), end), s.cmd.ProcessState.ExitCode()
}

// atListServer starts the program at a terminal with a server that has lists.
func atListServer(t *testing.T, columns uint16, args ...string) *session {
	t.Helper()
	return atTerminal(t, program(t, api(filepath.Join(t.TempDir(), "log")), args...), columns)
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

// Over a slow line, keys come in one piece.
func TestPromptTakesKeysTypedAtOnce(t *testing.T) {
	s := atListServer(t, 100, "get", "job", "run", "--job", "cleanup", "--run", "documented")
	s.answer(t, "Which project?", arrowDown+enter)
	if shown, status := s.wait(t); status != exitOK || !strings.Contains(shown, "projectId=second, ") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

func TestPromptEndsWithCtrlCAndSignal(t *testing.T) {
	for _, signal := range []bool{false, true} {
		s := atListServer(t, 100, "get", "job", "runs")
		if signal {
			s.answer(t, "Which project?")
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		} else {
			s.answer(t, "Which project?", ctrlC)
		}
		shown, status := s.wait(t)
		if status != exitInterrupted || strings.Contains(shown, "northflank: ") || strings.Contains(shown, "=> running") {
			t.Errorf("signal: %v: exit status %d: %q", signal, status, shown)
		}
	}
}

func TestPromptShowsNoControlCharacters(t *testing.T) {
	s := atListServer(t, 100, "list", "jobs", "--project", "evil")
	if shown, status := s.wait(t); status != exitOK || strings.ContainsAny(shown, "\a\u202e") {
		t.Errorf("table: exit status %d: %q", status, shown)
	}
	s = atListServer(t, 100, "get", "job", "runs", "--project", "evil")
	if shown := s.answer(t, `evil\a\u202e`, ctrlC); strings.ContainsAny(shown, "\a\u202e") {
		t.Errorf("question: %q", shown)
	}
}

func TestPromptFindsNothing(t *testing.T) {
	s := atListServer(t, 100, "list", "jobs", "--team", "empty")
	if shown, status := s.wait(t); status != exitError || !strings.Contains(shown, " has no project to choose from") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

func TestPromptNeedsTerminalWithSize(t *testing.T) {
	s := atListServer(t, 0, "get", "job", "run")
	if shown, status := s.wait(t); status != exitUsage || !strings.Contains(shown, "missing --projectId ID --jobId ID --runId ID") {
		t.Errorf("exit status %d: %q", status, shown)
	}
}

// TestListsArePrintedAsTheyArrive has a server whose list never ends, and which sends a page only
// once the page before is printed.
func TestListsArePrintedAsTheyArrive(t *testing.T) {
	for _, args := range []string{
		"list runs --limit 0", "list runs --limit 0 -o json", "list runs --limit 0 -o yaml", "get job runs --job j --loadAll",
	} {
		next := make(chan struct{}, 3)
		sent := 0
		cmd := program(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			sent++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"data": {"runs": [{"id": "run-%d", "jobId": "j", "status": "SUCCESS", "startedAt": "2020-12-08T11:47:08Z"}]},
				"pagination": {"hasNextPage": true, "cursor": "%d.1.j.run", "count": 1}}`, sent, 1_000_000-sent)
		}), append(strings.Fields(args), "--project", "p")...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for i := 1; i <= 3; i++ {
			next <- struct{}{}
			for lines.Scan() && !strings.Contains(lines.Text(), fmt.Sprintf("run-%d", i)) {
			}
		}
		if err := lines.Err(); err != nil || !strings.Contains(lines.Text(), "run-3") {
			t.Errorf("%s: the last line is %q, %v", args, lines.Text(), err)
		}
		_ = cmd.Process.Kill() // unless it has ended
		_ = cmd.Wait()
		if stderr.Len() > 0 {
			t.Errorf("%s: %s", args, stderr.String())
		}
	}
}

func TestListEndsIfCursorLeadsNowhere(t *testing.T) {
	for _, args := range []string{"list projects --loadAll", "list jobs --project p --loadAll", "list runs --project p --limit 0"} {
		asked := 0
		cmd := program(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"data": {"projects": [], "jobs": [], "runs": []},
				"pagination": {"hasNextPage": true, "cursor": "%d.1.j.r", "count": 0}}`, 1_000_000_000+asked%2)
		}), strings.Fields(args)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "its cursor leads nowhere") || asked > 3 {
			t.Errorf("%s: %v after %d requests: %s", args, err, asked, out)
		}
	}
}

func TestInterruptEndsRequest(t *testing.T) {
	asked := make(chan struct{})
	cmd := program(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}), documentedRunArgs...)
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

func TestInterruptClearsLineOfProgress(t *testing.T) {
	s := atTerminal(t, program(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Preference-Applied", r.Header.Get("Prefer"))
		if r.Header.Get("Prefer") != "wait=0" {
			<-r.Context().Done()
		}
		io.WriteString(w, runs["running"].body)
	}), append(documentedRunArgs, "--wait")...), 100)
	s.answer(t, "3 retries allowed"+wrapOn, ctrlC)
	shown, status := s.wait(t)
	// The terminal shows ^C itself, before or after what the program writes then.
	if !strings.HasSuffix(strings.ReplaceAll(shown, "^C", ""), clearLine) || status != exitInterrupted {
		t.Errorf("exit status %d: the terminal shows %q", status, shown)
	}
}

func TestBrokenPipeIsAnError(t *testing.T) {
	cmd := program(t, api(filepath.Join(t.TempDir(), "log")), documentedRunArgs...)
	nobody, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	defer pipe.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = pipe, &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != exitError || !strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("%v, want exit status %d; standard error: %s", err, exitError, stderr.String())
	}
}
