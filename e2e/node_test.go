//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns"
)

// The official packages, which must be served as they are, and those that judge the contract.
const (
	jsClient    = "@northflank/js-client@0.9.5"
	officialCLI = "@northflank/cli@0.9.24"
	prism       = "@stoplight/prism-cli@5.16.0"
	redocly     = "@redocly/cli@2.77.0"
)

// npmInstall returns a folder with the packages from the npm registry in it.
func npmInstall(t testing.TB, names ...string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test needs Node.js: %v", err)
		}
	}
	folder := t.TempDir()
	t.Logf("installing %v from the npm registry", names)
	cmd := exec.Command(
		"npm",
		append([]string{"install", "--prefix", folder, "--no-save", "--no-package-lock", "--no-audit", "--no-fund",
			"--ignore-scripts"}, names...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install %v: %v\n%s", names, err, out)
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

// TestOfficialJavaScriptClient asks the server directly, and through a proxy that puts an error in
// place of each response that it takes for a breach of the contract.
func TestOfficialJavaScriptClient(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	folder := npmInstall(t, jsClient, prism)
	t.Run("directly", func(t *testing.T) { askAllOfficially(t, folder, s.url, token) })
	t.Run("through Prism", func(t *testing.T) {
		askAllOfficially(t, folder, startPrism(t, folder, s.url, jobruns.Document), token)
	})
	t.Run("through Prism, with a contract that is not kept", func(t *testing.T) {
		other := bytes.Replace(
			jobruns.Document,
			[]byte("enum: [SUCCESS, RUNNING, FAILED]"),
			[]byte("enum: [RUNNING, FAILED]"),
			1,
		)
		proxy := startPrism(t, folder, s.url, other)
		got := askOfficially(t, folder, proxy, token,
			map[string]string{"projectId": documented.Project, "jobId": documented.Job, "runId": documented.Run})
		if got.Status != http.StatusInternalServerError {
			t.Errorf("Prism lets through what breaks the contract: %+v", got)
		}
	})
}

func askAllOfficially(t *testing.T, folder, host, token string) {
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
			path += "/projects/" + test.project + "/jobs/" + documented.Job + "/runs/" + strings.ReplaceAll(
				test.run,
				"/",
				"%2F",
			)
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
	lint := func(folder, file string) (string, error) {
		cmd := exec.Command("node", filepath.Join(folder, "node_modules", ".bin", "redocly"), "lint", file)
		cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
		cmd.Dir = t.TempDir() // where no configuration is
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	folder := npmInstall(t, redocly)
	contract, err := filepath.Abs("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := lint(folder, contract); err != nil || strings.Contains(out, "You have ") { // so many warnings
		t.Errorf("redocly lint: %v\n%s", err, out)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(
		broken,
		bytes.Replace(jobruns.Document, []byte("      summary: Check a token\n"), nil, 1),
		0o600,
	); err != nil {
		t.Fatal(err)
	}
	if out, err := lint(folder, broken); err == nil || !strings.Contains(out, "operation-summary") {
		t.Errorf("redocly lint says nothing of a summary that is missing: %v\n%s", err, out)
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
		"get",
		"job",
		"run",
		"--projectId",
		documented.Project,
		"--jobId",
		documented.Job,
		"-o",
		"json",
		"--runId",
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
