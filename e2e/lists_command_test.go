//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
)

// official is the official command line, logged in at a server.
type official struct {
	program string
	env     []string
}

func newOfficial(t *testing.T, url, token string) official {
	t.Helper()
	o := official{
		program: filepath.Join(npmInstall(t, officialCLI), "node_modules", ".bin", "northflank"),
		env:     []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TERM=xterm"},
	}
	o.run(t, "login", "-n", "local", "-t", token, "--host", url)
	return o
}

func (o official) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = o.env
	return cmd
}

// run returns what the official command line prints on standard output.
func (o official) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := o.command(o.program, args...)
	cmd.Stdin = strings.NewReader("n\n") // to "there are more rows, load?"
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("northflank %v: %v\n%s%s", args, err, out, stderr.String())
	}
	return string(out)
}

// ids runs a command that prints a list as JSON.
func (o official) ids(t *testing.T, name string, args ...string) []string {
	t.Helper()
	out := o.run(t, append(args, "-o", "json")...)
	var list map[string][]struct{ ID string }
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var ids []string
	for _, item := range list[name] {
		ids = append(ids, item.ID)
	}
	return ids
}

func TestOfficialCommandLineLists(t *testing.T) {
	t.Parallel()
	store, token, ids := listedStore(t)
	s := serve(t, store)
	o := newOfficial(t, s.url, token)
	if out := o.run(t, "list", "projects"); !strings.Contains(out, "0 p") || !strings.Contains(out, "1 q") {
		t.Errorf("list projects: %s", out)
	}
	// The official command line prints an object in a list as a dump of many lines.
	if out := o.run(t, "list", "jobs", "--projectId", "p"); !regexp.MustCompile(
		`(?s)Jobs\n[^\n]*JOBTYPE[^\n]*\n0 j [^\n]*manual[^\n]*\n1 k [^\n]*manual[^\n]*\n$`).MatchString(out) {
		t.Errorf("list jobs: %s", out)
	}
	if out := o.run(t, "get", "job", "--projectId", "p", "--jobId", "j"); !strings.Contains(out, "failuresInARow") {
		t.Errorf("get job: %s", out)
	}
	if out := o.run(t, "get", "job", "runs", "--projectId", "p", "--jobId", "j"); !strings.Contains(out, ids[49]) {
		t.Errorf("get job runs: %s", out)
	}
	o.run(t, "context", "use", "project", "-i", "p") // from now on, for both
	var details [2]string
	for i, program := range []string{o.program, filepath.Join(programs, "northflank")} {
		o := official{program, o.env}
		out := o.run(t, "get", "job", "--job", "j", "--skipValidation", "-o", "json")
		details[i] = compact(t, []byte(out[strings.Index(out, "{"):]))
	}
	if details[0] != details[1] || !strings.Contains(details[0], `"failuresInARow":0`) {
		t.Errorf("get job prints\n%s\nours prints\n%s", details[0], details[1])
	}
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"projects", []string{"list", "projects"}, []string{"p", "q"}},
		{"jobs", []string{"list", "jobs"}, []string{"j", "k"}},
		{"runs", []string{"get", "job", "runs", "--jobId", "j"}, ids[:50]},
		{"runs", []string{"get", "job", "runs", "--jobId", "j", "--per_page", "20", "--page", "2"}, ids[20:40]},
		{"runs", []string{"get", "job", "runs", "--jobId", "j", "--loadAll"}, ids},
	} {
		for _, program := range []string{o.program, filepath.Join(programs, "northflank")} {
			o.program = program
			if diff := cmp.Diff(test.want, o.ids(t, test.name, test.args...)); diff != "" {
				t.Errorf("%s %v (-want +got):\n%s", program, test.args, diff)
			}
		}
	}
}

// TestOfficialCommandLineAsksForRun has the official command line, and ours, ask for the project, the
// job and the run at a terminal, where a person moves down once each time.
func TestOfficialCommandLineAsksForRun(t *testing.T) {
	t.Parallel()
	store, token, ids := listedStore(t)
	s := serve(t, store)
	o := newOfficial(t, s.url, token)
	for program, questions := range map[string][]string{
		o.program:                             {"Choose the project to use", "Choose the job to use", "Choose the job runs to use"},
		filepath.Join(programs, "northflank"): {"Which project?", "Which job?", "Which run?"},
	} {
		cmd := o.command(program, "get", "job", "run", "-o", "json")
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 120})
		if err != nil {
			t.Fatal(err)
		}
		shown := readTerminal(terminal)
		for i, keys := range []string{"\r", "\x1b[B\x1b[A\r", "\x1b[B\r"} {
			shown.waitFor(t, questions[i])
			for _, key := range strings.SplitAfter(keys, "B") {
				if _, err := io.WriteString(terminal, key); err != nil {
					t.Fatal(err)
				}
			}
		}
		shown.waitFor(t, `"concludedAt": "`)
		err = cmd.Wait()
		terminal.Close()
		if text := shown.text(); err != nil || !strings.Contains(text, `"id": "`+ids[1]+`"`) {
			t.Errorf("%s: %v: the terminal shows %q", program, err, text)
		}
	}
}

// shownText is what a terminal has shown so far.
type shownText struct {
	mu sync.Mutex
	b  strings.Builder
}

// readTerminal reads until the terminal is closed.
func readTerminal(terminal io.Reader) *shownText {
	s := new(shownText)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf)
			s.mu.Lock()
			s.b.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *shownText) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *shownText) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.text(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q, but %q", text, s.text())
		}
	}
}
