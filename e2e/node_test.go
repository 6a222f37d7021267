//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The official packages, which must be served as they are.
const (
	jsClient    = "@northflank/js-client@0.9.5"
	officialCLI = "@northflank/cli@0.9.24"
)

// npmInstall returns a folder with the package from the npm registry in it.
func npmInstall(t *testing.T, name string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test needs Node.js: %v", err)
		}
	}
	folder := t.TempDir()
	t.Logf("installing %s from the npm registry", name)
	cmd := exec.Command("npm", "install", "--prefix", folder, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install %s: %v\n%s", name, err, out)
	}
	return folder
}

// jsResult is what js-client.mjs prints.
type jsResult struct {
	Data        json.RawMessage `json:"data"`
	Error       *jsError        `json:"error"`
	Status      int             `json:"status"`
	ContentType string          `json:"contentType"`
	URL         string          `json:"url"`
	Method      string          `json:"method"`
}

type jsError struct {
	Status  int             `json:"status"`
	Message string          `json:"message"`
	ID      string          `json:"id"`
	Details json.RawMessage `json:"details"`
}

func TestOfficialJavaScriptClient(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	script, err := filepath.Abs("testdata/js-client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	folder := npmInstall(t, jsClient)
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	invalid := "jobruns_invalid"
	for _, test := range []struct {
		name, token, team, project, run string
		status                          int
		message                         string // of the error; "" where the run is expected
	}{
		{"a run", token, "", documented.Project, documented.Run, 200, ""},
		{"a run, with its team", token, "default", documented.Project, documented.Run, 200, ""},
		{"no such run", token, "", documented.Project, "nothing", 404, "not found"},
		{"no such run, with its team", token, "default", documented.Project, "nothing", 404, "not found"},
		{"another team", token, "other", documented.Project, documented.Run, 403, "lacks the permission"},
		{"a malformed id", token, "", documented.Project, "a/b", 400, `path parameter "runId" breaks the rule "pattern"`},
		{"a bad token", invalid, "", documented.Project, documented.Run, 401, "the token is not valid"},
		{"a bad token, with a team", invalid, "default", documented.Project, documented.Run, 401, "the token is not valid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parameters := map[string]string{"projectId": test.project, "jobId": documented.Job, "runId": test.run}
			path := "/v1"
			if test.team != "" {
				parameters["teamId"] = test.team
				path += "/teams/" + test.team
			}
			path += "/projects/" + test.project + "/jobs/" + documented.Job + "/runs/" + strings.ReplaceAll(test.run, "/", "%2F")
			input, err := json.Marshal(map[string]any{"host": s.url, "token": test.token, "parameters": parameters})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("node", script)
			cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(input), os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("node: %v", err)
			}
			var got jsResult
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			wanted := jsResult{Status: test.status, ContentType: "application/json", URL: s.url + path, Method: "get"}
			if test.message == "" {
				wanted.Data = []byte(compact(t, want))
			} else if got.Error == nil || got.Error.Status != test.status || got.Error.ID == "" || !strings.Contains(got.Error.Message, test.message) {
				t.Errorf("error %+v, want status %d and %q", got.Error, test.status, test.message)
			} else {
				wanted.Error = got.Error
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOfficialCommandLine logs in with the official command line and with ours, and then asks with both: they share a
// file in which they keep hosts and tokens.
func TestOfficialCommandLine(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	official := filepath.Join(npmInstall(t, officialCLI), "node_modules", ".bin", "northflank")
	ours := filepath.Join(programs, "northflank")
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	ask := []string{"get", "job", "run", "--projectId", documented.Project, "--jobId", documented.Job, "-o", "json", "--runId"}
	for _, login := range []string{official, ours} {
		home := t.TempDir()
		run := func(program string, args ...string) (string, error) {
			cmd := exec.Command(program, args...)
			cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := run(login, "login", "-n", "local", "-t", token, "--host", s.url); err != nil {
			t.Fatalf("%s login: %v\n%s", login, err, out)
		}
		for _, program := range []string{official, ours} {
			out, err := run(program, append(ask, documented.Run)...)
			if diff := cmp.Diff(compact(t, want), compact(t, []byte(out))); err != nil || diff != "" {
				t.Errorf("%s after %s login: %v (-want +got):\n%s", program, login, err, diff)
			}
			if out, err := run(program, append(ask, "nothing")...); err == nil || !strings.Contains(out, "not found") {
				t.Errorf("%s, no such run: %v\n%s", program, err, out)
			}
		}
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return b.String()
}
