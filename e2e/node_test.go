//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The official packages, which must be served as they are, and those that judge the contract.
const (
	jsClient    = "@northflank/js-client@0.9.5"
	officialCLI = "@northflank/cli@0.9.24"
	redocly     = "@redocly/cli@2.77.0"
)

// installed has a folder for each package that a test has installed. TestMain removes the folders.
var installed = struct {
	sync.Mutex
	folders map[string]string
}{folders: map[string]string{}}

// npmInstall returns a folder with the package from the npm registry in it, which tests share.
func npmInstall(t testing.TB, name string) string {
	t.Helper()
	installed.Lock()
	defer installed.Unlock()
	if folder := installed.folders[name]; folder != "" {
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
	installed.folders[name] = folder
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
	var got jsResult
	runNode(t, folder, "js-client.mjs", map[string]any{"host": host, "token": token, "parameters": parameters}, &got)
	return got
}

// runNode runs a script of testdata with the packages of the folder, and decodes what it prints.
func runNode(t *testing.T, folder, script string, input map[string]any, result any) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", path)
	cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(text), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestOfficialJavaScriptClient(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

func TestOfficialClientsReadLogs(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	for run, flags := range map[string][]string{"r": {"--keep-output", "1KiB"}, "none": nil} {
		cmd := recorded(t, a, "echo first; echo second", append(flags, "--run", run)...)
		cmd.Stdout = nil
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	token, home := a.logsToken(t), t.TempDir()
	official := func(args ...string) string { // with the exit status 0 for an error, as it is
		cmd := exec.Command(filepath.Join(npmInstall(t, officialCLI), "node_modules", ".bin", "northflank"), args...)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	official("login", "-n", "local", "-t", token, "--host", a.server.url)
	for _, test := range []struct{ flags, want string }{
		{"--runId r", `(?m)^\S+Z ` + host + ` -- first\n\S+Z ` + host + ` -- second$`},
		{"--runId r -o json", `(?s)"containerId": "` + host + `",\s+"log": "first",.*"log": "second"`},
		{"--runId r --lineLimit 1 --direction backward -o json", `^\[\s+\{[^{]*"log": "second"[^{]*$`},
		{"--runId none", "No logs found"},
		{"--runId missing", "not found"},
		{"--runId r --textIncludes first", "the operation does not have this parameter"},
	} {
		args := append([]string{"get", "job", "logs", "--projectId", "p", "--jobId", "j"}, strings.Fields(test.flags)...)
		if got := official(args...); !regexp.MustCompile(test.want).MatchString(got) {
			t.Errorf("%s: %s\nwant %s", test.flags, got, test.want)
		}
	}
	for _, parameters := range []map[string]any{
		{"projectId": "p", "jobId": "j"}, {"projectId": "p", "jobId": "j", "teamId": "default"},
	} {
		var got struct {
			Data []struct {
				ContainerID, Log string
				TS               time.Time
			}
		}
		runNode(t, npmInstall(t, jsClient), "js-lists.mjs", map[string]any{
			"host": a.server.url, "token": token, "method": "get.job.logs",
			"parameters": parameters, "options": map[string]any{"runId": "r", "lineLimit": 1},
		}, &got)
		if len(got.Data) != 1 || got.Data[0].Log != "first" || got.Data[0].ContainerID != host || got.Data[0].TS.IsZero() {
			t.Errorf("get.job.logs returned %+v", got)
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
