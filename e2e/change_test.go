//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/gen/model"
)

// checkout is a copy of the repository, in which a test changes the contract as someone would.
type checkout struct {
	testing.TB
	folder string
}

// newCheckout copies the files that are the repository's, as they are now, and commits them as the
// version v1.0.0.
func newCheckout(t testing.TB) checkout {
	t.Helper()
	c := checkout{t, t.TempDir()}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	files, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		from, to := filepath.Join("..", name), filepath.Join(c.folder, name)
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // removed, and that is not committed yet
		}
		content, readErr := os.ReadFile(from)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	c.run("git", "init", "--quiet")
	c.run("git", "add", ".")
	c.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", "As it was")
	c.run("git", "tag", "v1.0.0")
	return c
}

// in is the same checkout for a test of its own.
func (c checkout) in(t testing.TB) checkout { return checkout{t, c.folder} }

// try runs a command in the checkout, without a network. Go builds as TestMain does, so that what
// the change leaves alone is compiled once for all folders.
func (c checkout) try(name string, args ...string) (string, error) {
	c.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-trimpath", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c checkout) run(name string, args ...string) string {
	c.Helper()
	out, err := c.try(name, args...)
	if err != nil {
		c.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// edit replaces a text that is in a file once.
func (c checkout) edit(file, old, new string) {
	c.Helper()
	path := filepath.Join(c.folder, file)
	text, err := os.ReadFile(path)
	if err != nil {
		c.Fatal(err)
	}
	if n := strings.Count(string(text), old); n != 1 {
		c.Fatalf("%s has %d times, want once: %q", file, n, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		c.Fatal(err)
	}
}

// generate regenerates, which leaves no other file changed than those of the contract.
func (c checkout) generate() {
	c.Helper()
	c.run("go", "generate", "./...")
	for line := range strings.Lines(c.run("git", "status", "--porcelain")) {
		if name := strings.TrimSpace(line[3:]); name != "openapi.yaml" && !strings.HasPrefix(name, "gen/") {
			c.Errorf("changed: %s", line)
		}
	}
}

// program is that of the checkout.
func (c checkout) program(name string, args ...string) *exec.Cmd {
	c.Helper()
	cmd := program(c, name, args...)
	cmd.Path = filepath.Join(c.folder, "bin", name)
	return cmd
}

// serve serves the store with the program of the checkout.
func (c checkout) serve(store string, args ...string) *apiServer {
	c.Helper()
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--store", store, "--rate-limit", "0"}, args...)
	return startServer(c, c.program("jobrund", args...))
}

// asks gets the path from the server with headers, and returns the response's body.
func (c checkout) asks(s *apiServer, token, path string, status int, headers ...string) string {
	c.Helper()
	request := newRequest(c, s, token, path)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	_, body := exchange(c, request, status)
	return string(body)
}

// breaks asks what the contract does not allow, and checks which parameter and rule the response
// names.
func (c checkout) breaks(s *apiServer, token, path, parameter, rule string, headers ...string) {
	c.Helper()
	var result model.ErrorResult
	if err := json.Unmarshal([]byte(c.asks(s, token, path, http.StatusBadRequest, headers...)), &result); err != nil {
		c.Fatal(err)
	}
	if got, want := result.Error.Details, (model.ErrorDetails{Parameter: parameter, Rule: rule}); got != want {
		c.Errorf("the response names %+v, want %+v", got, want)
	}
}

// shows checks that the documentation has the text: the page shows the document that the server
// has.
func (c checkout) shows(s *apiServer, text string) {
	c.Helper()
	if document := c.asks(s, "", "/v1/swagger-json", http.StatusOK); !strings.Contains(document, text) {
		c.Errorf("the document does not have %q", text)
	}
}

// answering answers every request with the status and the body, and returns what northflank says of
// it.
func (c checkout) answering(status int, body string) (string, error) {
	c.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	out, err := c.program("northflank", "get", "job", "run", "--host", server.URL, "--token", "t", "--projectId",
		documented.Project, "--jobId", documented.Job, "--runId", documented.Run, "-o", "json").CombinedOutput()
	return string(out), err
}

// TestContractChange changes the contract in the ways in which contracts change, adds the operation
// of .github/CONTRIBUTING.md, and checks that the rest follows without a line of Go but the new method.
func TestContractChange(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	const teamPath = "/v1/teams/default/projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723"
	c := newCheckout(t)
	method := c.addOperation()
	c.wantVersion("adds to the contract", "endpoint added")
	c.changeAll()
	if out, err := c.try(".ci/check-generated"); err == nil || !strings.Contains(out, "gen/ is stale") {
		t.Errorf("stale code: %v\n%s", err, out)
	}
	if changed := c.run("git", "status", "--porcelain"); changed != " M openapi.yaml\n" {
		t.Errorf("the check has changed the tree:\n%s", changed)
	}
	c.generate()
	c.run(".ci/check-generated")
	c.implement(method)
	c.run(".ci/build")
	s := c.serve(store)
	for range 2 { // the second time, the run is cached
		c.asks(s, token, runPath, http.StatusOK, "X-Reason", "audit")
	}

	t.Run("another operation", func(t *testing.T) {
		c := c.in(t)
		statusPath := runPath + "/status"
		for range 2 {
			// The cached run must not be taken for the other response.
			c.asks(s, token, runPath, http.StatusOK, "X-Reason", "audit")
			if got := c.asks(s, token, statusPath, http.StatusOK); got != `{"data":{"status":"SUCCESS"}}`+"\n" {
				t.Errorf("the status is answered with %s", got)
			}
		}
		c.asks(s, "", statusPath, http.StatusUnauthorized)
		c.asks(s, token, strings.Replace(statusPath, "default-project", "other", 1), http.StatusNotFound)
		c.asks(s, token, statusPath+"/more", http.StatusNotFound)
		c.breaks(s, token, strings.Replace(statusPath, "example-job", "-", 1), "jobId", "pattern")
		c.shows(s, `"Get the status of a run"`)
	})

	t.Run("a required header", func(t *testing.T) {
		c := c.in(t)
		c.breaks(s, token, runPath, "X-Reason", "required")
		c.breaks(s, token, runPath, "X-Reason", "minLength", "X-Reason", "no")
		c.shows(s, `"Why the caller wants to know"`)
		if fields := c.run("go", "doc", "./gen/model", "GetJobRunParams"); !strings.Contains(fields, "XReason") {
			t.Errorf("the client cannot send the header:\n%s", fields)
		}
	})

	t.Run("a tighter pattern", func(t *testing.T) {
		c := c.in(t)
		c.breaks(s, token, strings.Replace(runPath, "example-job", "Example-Job", 1), "jobId", "pattern", "X-Reason", "audit")
		long := strings.Replace(runPath, "example-job", strings.Repeat("a", 101), 1)
		c.breaks(s, token, long, "jobId", "maxLength", "X-Reason", "audit")
		c.shows(s, `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
		// jobrun reads no document: a test says that its rules are other ones.
		out, err := c.try("go", "test", "./server/jobrun")
		if err == nil || !strings.Contains(out, "TestIDRulesAreThoseOfTheDocument") {
			t.Errorf("the rules of an ID in package jobrun: %v\n%s", err, out)
		}
	})

	t.Run("another error response", func(t *testing.T) {
		c := c.in(t)
		c.shows(s, `"The run has been removed."`)
		if fields := c.run("go", "doc", "./gen/client", "GetJobRunResponse"); !strings.Contains(fields, "JSON410") {
			t.Errorf("the client does not know the response:\n%s", fields)
		}
		out, err := c.answering(http.StatusGone, `{"error":{"status":410,"message":"removed in May","id":"1"}}`)
		if err == nil || !strings.Contains(out, "removed in May") {
			t.Errorf("northflank: %v\n%s", err, out)
		}
	})

	t.Run("another permission", func(t *testing.T) {
		c := c.in(t)
		var result model.ErrorResult
		if err := json.Unmarshal([]byte(c.asks(s, token, teamPath, http.StatusForbidden)), &result); err != nil {
			t.Fatal(err)
		}
		if got := result.Error.Details.Permission; got != "Project > Jobs > General > Watch" {
			t.Errorf("the response names the permission %q", got)
		}
		made, err := c.program("jobrund", "token", "create", "--name", "all", "--store", store).Output()
		if err != nil {
			t.Fatal(err)
		}
		c.asks(s, strings.TrimSpace(string(made)), teamPath, http.StatusOK)
	})

	t.Run("another response field", func(t *testing.T) {
		c := c.in(t)
		c.shows(s, `"What somebody wrote about it."`)
		fields := c.run("go", "doc", "./gen/model", "JobRun")
		if !regexp.MustCompile(`Note \*string`).MatchString(fields) {
			t.Errorf("the model does not have the field:\n%s", fields)
		}
		// Nothing stores it yet: a run that has it is refused, and not stored without it.
		importer := c.program("jobrund", "import", "--store", store)
		importer.Stdin = strings.NewReader(
			`{"projectId":"p","jobId":"j","run":{"note":"a test",` + strings.TrimPrefix(documentedRun(t), "{") + "}\n")
		if out, err := importer.CombinedOutput(); err == nil || !strings.Contains(string(out), "note") {
			t.Errorf("import: %v\n%s", err, out)
		}
		run := c.asks(s, token, runPath, http.StatusOK, "X-Reason", "audit")
		out, err := c.answering(http.StatusOK, strings.Replace(run, `"id":`, `"note":"a test","id":`, 1))
		if err != nil || !strings.Contains(out, `"note": "a test"`) {
			t.Errorf("northflank: %v\n%s", err, out)
		}
	})

	t.Run("what breaks callers", func(t *testing.T) {
		c.in(t).wantVersion("breaks callers", "the maxLength was decreased from `253` to `100`")
	})
}

// changeAll changes a parameter, a pattern, a length, a response, a permission and a field.
func (c checkout) changeAll() {
	c.Helper()
	c.edit("openapi.yaml", `  headers:
    RateLimit:
`, `    Reason:
      name: X-Reason
      in: header
      required: true
      description: Why the caller wants to know
      schema: {type: string, minLength: 3}
      example: audit
  headers:
    RateLimit:
`)
	c.edit("openapi.yaml", `        - $ref: '#/components/parameters/Prefer'
      responses: &getRunResponses
`, `        - $ref: '#/components/parameters/Prefer'
        - $ref: '#/components/parameters/Reason'
      responses: &getRunResponses
        '410': {$ref: '#/components/responses/Gone'}
`)
	c.edit("openapi.yaml", `      maxLength: 253
      pattern: ^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$
`, `      maxLength: 100
      pattern: ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$
`)
	c.edit("openapi.yaml", "    MethodNotAllowed:\n", `    Gone:
      description: The run has been removed.
      headers: *rateLimit
      content:
        application/json:
          schema: {$ref: '#/components/schemas/ErrorResult'}
          example: {error: {status: 410, message: removed, id: 0f1b4d1c-8f5a-4d0e-9c41-6c2a2f7f1e55}}
    MethodNotAllowed:
`)
	c.edit("openapi.yaml", `of the named team, at once or when it has concluded.
      x-required-permission: Project > Jobs > General > Read
`, `of the named team, at once or when it has concluded.
      x-required-permission: Project > Jobs > General > Watch
`)
	c.edit("openapi.yaml", "          description: When the run was over; null until then.\n",
		`          description: When the run was over; null until then.
        note:
          x-order: 12
          type: string
          maxLength: 10
          description: What somebody wrote about it.
`)
}

// addOperation adds an operation to the document with the text of .github/CONTRIBUTING.md, and
// returns its method.
func (c checkout) addOperation() (method string) {
	c.Helper()
	guide, err := os.ReadFile(filepath.Join(c.folder, ".github", "CONTRIBUTING.md"))
	if err != nil {
		c.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(?:yaml|go)\n(.*?)```").FindAllSubmatch(guide, -1)
	if len(blocks) != 4 {
		c.Fatalf("the guide has %d blocks, want the path, the response, the schema and the method", len(blocks))
	}
	for i, before := range []string{"  /v1/login:\n", "    Document:\n", "    LoginResult:\n"} {
		c.edit("openapi.yaml", before, string(blocks[i][1])+before)
	}
	return "\n" + string(blocks[3][1])
}

// implement checks that the compiler names the missing method and nothing else, and adds the method.
func (c checkout) implement(method string) {
	c.Helper()
	out, err := c.try("go", "build", "./...")
	problems := regexp.MustCompile(`(?m)^\S+\.go:\d+:\d+: .*$`).FindAllString(out, -1)
	other := func(problem string) bool { return !strings.HasSuffix(problem, "(missing method GetJobRunStatus)") }
	if err == nil || len(problems) == 0 || slices.ContainsFunc(problems, other) {
		c.Fatalf("want only the missing method: %v\n%s", err, out)
	}
	handler := filepath.Join(c.folder, "server", "handler.go")
	text, err := os.ReadFile(handler)
	if err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(handler, append(text, method...), 0o600); err != nil {
		c.Fatal(err)
	}
	if unformatted := c.run("gofmt", "-l", "server"); unformatted != "" {
		c.Errorf("the method is not formatted: %s", unformatted)
	}
}

// documentedRun returns the documented run on one line.
func documentedRun(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), "")
}

// wantVersion checks that the check of the contract lists the change, that it fails until
// info.version is as high as it says, and that it passes then.
func (c checkout) wantVersion(change, words string) {
	c.Helper()
	out, err := c.try(".ci/check-contract")
	if err == nil || !strings.Contains(out, words) {
		c.Errorf("the check does not list %q: %v\n%s", words, err, out)
	}
	wanted := regexp.MustCompile(`that ` + change + `: info.version must be at least (\S+), and is (\S+) `)
	lowest := wanted.FindStringSubmatch(out)
	if lowest == nil {
		c.Fatalf("the check does not say which version that needs:\n%s", out)
	}
	c.edit("openapi.yaml", "  version: "+lowest[2]+"\n", "  version: "+lowest[1]+"\n")
	c.run(".ci/check-contract")
}
