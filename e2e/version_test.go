package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	for _, name := range []string{"jobrund", "northflank"} {
		for _, args := range []string{"version", "--version"} {
			cmd := program(t, name, args)
			cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3", "JOBRUND_STORE=nowhere")
			got := outcomeOf(t, cmd)
			if got.status != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, name+" version ") ||
				!strings.HasSuffix(got.stdout, "\ngo     "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\n") {
				t.Errorf("%s %s: %+v", name, args, got)
			}
		}
	}
	// What cannot be set in the environment must not say that it can.
	if got := jobrund(t, "--help"); !strings.Contains(got.stdout, "-v, --version ") || strings.Contains(got.stdout, "JOBRUND_VERSION") ||
		strings.Contains(got.stdout, "JOBRUND_HELP") {
		t.Errorf("jobrund --help: %+v", got)
	}
	cmd := program(t, "jobrund")
	cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3")
	if got := outcomeOf(t, cmd); got.status != 2 || !strings.Contains(got.stderr, "Available Commands:") {
		t.Errorf("with JOBRUND_VERSION: %+v", got)
	}
}

// TestProgramsBelongTogether runs jobrund alone, and where jobrund-server is somewhere else.
func TestProgramsBelongTogether(t *testing.T) {
	t.Parallel() // it waits until recording is given up
	alone := filepath.Join(t.TempDir(), "jobrund")
	text, err := os.ReadFile(filepath.Join(programs, "jobrund"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(alone, text, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(path string, args ...string) outcome {
		cmd := program(t, "jobrund", args...)
		cmd.Path = alone
		cmd.Env = []string{"PATH=" + path}
		return outcomeOf(t, cmd)
	}
	const missing = "jobrund: only exec with a store in SQLite works without the program jobrund-server: install it beside this one"
	if got := run("/nowhere", "version"); got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, missing) {
		t.Errorf("alone: %+v", got)
	}
	if got := run(os.Getenv("PATH"), "exec", "--store", newStore(t), "--project", "p", "--job", "j", "--", "true"); got.status != 0 {
		t.Errorf("exec alone: %+v", got)
	}
	const elsewhere = "postgres://127.0.0.1:1/x"
	got := run(os.Getenv("PATH"), "exec", "--store", elsewhere, "--project", "p", "--job", "j", "--", "echo", "hello")
	if got.status != 0 || got.stdout != "hello\n" || !strings.HasPrefix(got.stderr, missing) || !strings.Contains(got.stderr, "not of the form sqlite:PATH") {
		t.Errorf("exec alone with a store elsewhere: %+v", got)
	}
	got = run(programs, "exec", "--store", elsewhere, "--project", "p", "--job", "j", "--", "/bin/echo", "hello")
	if got.status != 0 || got.stdout != "hello\n" || !strings.Contains(got.stderr, "connection refused") {
		t.Errorf("exec with a store elsewhere: %+v", got)
	}
	if got := run(programs, "version"); got.status != 0 || !strings.HasPrefix(got.stdout, "jobrund version ") {
		t.Errorf("in the PATH: %+v", got)
	}
}

// TestExecLinksLittle keeps what only a server needs out of the program that runs commands.
func TestExecLinksLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../cmd/jobrund").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/jobruns/jobruns/server/store\n") {
		t.Error("jobrund does not link the store")
	}
	for dep := range strings.Lines(string(out)) {
		for _, heavy := range []string{"github.com/labstack/", "github.com/getkin/", "github.com/prometheus/", "k8s.io/", "go.opentelemetry.io/",
			"github.com/jackc/", "github.com/goccy/", "crypto/tls"} {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("jobrund links %s", dep)
			}
		}
	}
}
