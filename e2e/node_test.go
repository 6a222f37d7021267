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

// The official packages, which must be served as they are, and those that judge the contract.
const (
	jsClient    = "@northflank/js-client@0.9.5"
	officialCLI = "@northflank/cli@0.9.24"
	redocly     = "@redocly/cli@2.77.0"
)

// installed has a folder for each package that a test has installed. TestMain removes the folders.
var installed = map[string]string{}

// npmInstall returns a folder with the package from the npm registry in it, which tests share.
func npmInstall(t testing.TB, name string) string {
	t.Helper()
	if folder := installed[name]; folder != "" {
		return folder
	}
	folder, err := os.MkdirTemp(programs, "npm-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "install", "--prefix", folder, "--no-save", "--no-package-lock", "--no-audit", "--no-fund",
		"--ignore-scripts", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install %s: %v\n%s", name, err, out) // this test needs Node.js
	}
	installed[name] = folder
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

// askOfficially asks for a run with the official JavaScript client, which is installed in the
// folder.
func askOfficially(t *testing.T, folder, host, token string, parameters map[string]string) jsResult {
	t.Helper()
	script, err := filepath.Abs("testdata/js-client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(map[string]any{"host": host, "token": token, "parameters": parameters})
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
	return got
}

func TestOfficialJavaScriptClient(t *testing.T) {
	store, token := documentedStore(t)
	host, folder := serve(t, store).url, npmInstall(t, jsClient)
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, token, team, project, run string
		status                          int
		message                         string // of the error; "" where the run is expected
	}{
		{"a run", token, "", documented.Project, documented.Run, 200, ""},
		{"a run, with its team", token, "default", documented.Project, documented.Run, 200, ""},
		{"no such run", token, "", documented.Project, "nothing", 404, "not found"},
		{"another team", token, "other", documented.Project, documented.Run, 403, "lacks the permission"},
		{"a malformed id", token, "", documented.Project, "a/b", 400, `path parameter "runId" breaks the rule "pattern"`},
		{"a bad token", "jobruns_invalid", "", documented.Project, documented.Run, 401, "the token is not valid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parameters := map[string]string{"projectId": test.project, "jobId": documented.Job, "runId": test.run}
			path := "/v1"
			if test.team != "" {
				parameters["teamId"] = test.team
				path += "/teams/" + test.team
			}
			path += "/projects/" + test.project + "/jobs/" + documented.Job + "/runs/" + strings.ReplaceAll(test.run,
				"/", "%2F")
			got := askOfficially(t, folder, host, test.token, parameters)
			wanted := jsResult{Status: test.status, ContentType: "application/json", URL: host + path, Method: "get"}
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

// TestLinter has the contract judged by the rules that Redocly recommends.
func TestLinter(t *testing.T) {
	contract, err := filepath.Abs("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(npmInstall(t, redocly), "node_modules", ".bin", "redocly"), "lint", contract)
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	cmd.Dir = t.TempDir()                                                                           // where no configuration is
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "You have ") { // so many warnings
		t.Errorf("redocly lint: %v\n%s", err, out)
	}
}

// TestOfficialCommandLine logs in with the official command line and with ours, and then asks with
// both: they share a file in which they keep hosts and tokens.
func TestOfficialCommandLine(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	official := filepath.Join(npmInstall(t, officialCLI), "node_modules", ".bin", "northflank")
	ours := filepath.Join(programs, "northflank")
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	ask := []string{
		"get", "job", "run", "--projectId", documented.Project, "--jobId", documented.Job, "-o", "json", "--runId",
	}
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
