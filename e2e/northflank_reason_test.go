package e2e

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestNorthflankSaysWhyRunsFailed asks with the command line for runs that jobrun has recorded.
func TestNorthflankSaysWhyRunsFailed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	script := `printf 'one\ntwo\n\033[31mthree\nfour\nfive\nsix\n'; exit 23`
	id := failedRun(t, a, script)
	failedRun(t, a, "kill -KILL $$")
	states := output(t, "jobrund", "token", "create", "--name", "states", "--store", a.store)
	logs := a.logsToken(t)
	s := a.server
	ask := func(token string, args ...string) string {
		t.Helper()
		return output(t, "northflank", append(args, "--host", s.url, "--token", token, "--project", "p")...)
	}

	want := "Status     FAILED: exit status 23 on " + host + ", 3rd attempt of 3\n"
	for token, lines := range map[string]string{
		states: "",
		logs:   "The last lines of its log:\n  two\n  three\n  four\n  five\n  six",
	} {
		got := ask(token, "get", "job", "run", "--job", "j", "--run", id)
		if !strings.Contains(got, want) || !strings.HasSuffix(got, lines) || lines == "" && strings.Contains(got, "log") {
			t.Errorf("%s\nwant %q and at the end %q", got, want, lines)
		}
	}
	printed := strings.TrimSpace(strings.Repeat("one\ntwo\nthree\nfour\nfive\nsix\n", 3)) // by each attempt
	if got := ask(logs, "get", "job", "logs", "--job", "j", "--run", id, "-o", "json", "--jq", ".[].log"); got != printed {
		t.Errorf("the log is %q", got)
	}

	list := ask(states, "list", "runs", "--status", "FAILED", "--since", "1h")
	row := `(?m)^j +FAILED +\S+ \S+ +\S+ +` + regexp.QuoteMeta(host) + ` +%s +\S+$`
	for _, reason := range []string{"exit status 23", `killed by signal 9 \(KILL\)`} {
		if !regexp.MustCompile(strings.ReplaceAll(row, "%s", reason)).MatchString(list) {
			t.Errorf("no row says %q:\n%s", reason, list)
		}
	}
	got := ask(states, "list", "runs", "-o", "json", "--jq", "[.runs[].reason] | sort | .[]")
	if got != "ExitStatus\nSignal" {
		t.Errorf("the reasons are %q", got)
	}
	refused := outcomeOf(t, program(t, "northflank", "get", "job", "logs", "--host", s.url, "--token", states,
		"--project", "p", "--job", "j", "--run", id))
	if !strings.Contains(refused.stderr, logsPermission) {
		t.Errorf("%+v", refused)
	}
}

// failedRun records a run whose three attempts fail, and returns its id.
func failedRun(t *testing.T, a *api, script string) string {
	t.Helper()
	cmd := recorded(t, a, script, "--backoff-limit", "2", "--backoff", "1ms", "--keep-output", "4KiB")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = nil, &stderr
	if err := cmd.Run(); err == nil {
		t.Fatalf("the run has not failed: %s", stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if id, ok := strings.CutPrefix(line, "jobrun: run "); ok {
			return strings.TrimSpace(id)
		}
	}
	t.Fatalf("no id is announced: %s", stderr.String())
	return ""
}
