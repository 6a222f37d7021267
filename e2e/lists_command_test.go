//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
