package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

const (
	runPath     = "/v1/projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723"
	logsPath    = "/v1/projects/default-project/jobs/example-job/logs"
	teamRunPath = "/v1/teams/default" + "/projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723"
)

// ask sends a GET, checks the status of its response and that this is JSON as the contract has it,
// and returns the message of an error.
func ask(t testing.TB, s *apiServer, token, path string, status int) string {
	t.Helper()
	return answered(t, newRequest(t, s, token, path), status)
}

// newRequest returns a GET with the token.
func newRequest(t testing.TB, s *apiServer, token, path string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return request
}

// exchange sends the request, checks the status of its response, and returns the response with its
// body.
func exchange(t testing.TB, request *http.Request, status int) (*http.Response, []byte) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Errorf("%s %s: %s, want %d: %s %v", request.Method, request.URL, response.Status, status, body, err)
	}
	return response, body
}

func answered(t testing.TB, request *http.Request, status int) string {
	t.Helper()
	response, body := exchange(t, request, status)
	if request.Method == http.MethodHead {
		return ""
	}
	var answer struct {
		Data  json.RawMessage
		Error model.Error
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Errorf("%s %s: %v: %s", request.Method, request.URL, err, body)
	}
	if status != http.StatusOK &&
		(answer.Error.Status != status || answer.Error.ID != response.Header.Get("X-Request-Id")) {
		t.Errorf("%s %s: %s", request.Method, request.URL, body)
	}
	return answer.Error.Message
}

var tokenLine = regexp.MustCompile(`^jobruns_[A-Za-z0-9_-]{43}\n$`)

func TestTokenCreate(t *testing.T) {
	t.Parallel()
	store, _ := documentedStore(t)
	got := jobrund(t, "token", "create", "--name", "ci", "--store", store)
	if got.status != 0 || got.stderr != "" || !tokenLine.MatchString(got.stdout) {
		t.Errorf("%+v", got)
	}
	s := serve(t, store)
	ask(t, s, strings.TrimSpace(got.stdout), runPath, http.StatusOK)
	ask(t, s, strings.TrimSpace(got.stdout), "/v1/login", http.StatusOK)

	again := jobrund(t, "token", "create", "--name", "ci", "--store", store)
	if again.status != 1 || again.stdout != "" ||
		!strings.HasPrefix(again.stderr, `jobrund: a token named "ci" exists already: `) {
		t.Errorf("the same name again: %+v", again)
	}
	ask(t, s, strings.TrimSpace(got.stdout), runPath, http.StatusOK)
}

func TestTokenList(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	output(t, "jobrund", "import", os.DevNull, "--store", store) // makes the store
	empty := jobrund(t, "token", "list", "--store", store)
	if strings.Count(empty.stdout, "\n") != 1 || !strings.HasPrefix(empty.stdout, "NAME ") {
		t.Errorf("without tokens: %+v", empty)
	}
	var secrets []string
	for _, args := range []string{"--name b", "--name a --team t,u --team v --project p,q --expires-in 30d"} {
		args = "token create --store " + store + " " + args + " --permission"
		secrets = append(secrets,
			output(t, "jobrund", append(strings.Fields(args), "Project > Jobs > General > Read")...))
	}
	secrets = append(secrets,
		output(t, "jobrund", "token", "create", "--store", store, "--name", "c", "--record", "--project", "p"))
	list := output(t, "jobrund", "token", "list", "--store", store)
	lines := strings.Split(list, "\n")
	if len(lines) != 4 {
		t.Fatalf("%q", lines)
	}
	columns := regexp.MustCompile(` {2,}`)
	for i, want := range [][]string{
		{"NAME", "CAN", "TEAMS", "PROJECTS", "PERMISSIONS", "CREATED", "EXPIRES"},
		{"a", "read", "t,u,v", "p,q", "Project > Jobs > General > Read", "", ""},
		{"b", "read", "default", "all", "Project > Jobs > General > Read", "", "never"},
		{"c", "record", "default", "p", "Project > Jobs > Runs > Record", "", "never"},
	} {
		got := columns.Split(lines[i], -1)
		if len(got) != len(want) {
			t.Fatalf("%q", got)
		}
		for column, value := range want {
			if value != "" && got[column] != value {
				t.Errorf("%q instead of %q in %q", got[column], value, lines[i])
			}
		}
	}
	a := columns.Split(lines[1], -1)
	created, errCreated := time.Parse(time.RFC3339, a[5])
	expires, errExpires := time.Parse(time.RFC3339, a[6])
	if errCreated != nil || errExpires != nil || expires.Sub(created) != 720*time.Hour {
		t.Errorf("created %s, expires %s", a[5], a[6])
	}
	tellsNothing(t, store, list, secrets)
}

// tellsNothing checks that neither the list nor a file of the store has a secret in it.
func tellsNothing(t *testing.T, store, list string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		secret = strings.TrimPrefix(secret, "jobruns_")
		hash := sha256.Sum256([]byte("jobruns_" + secret))
		if strings.Contains(list, secret) || strings.Contains(strings.ToLower(list), hex.EncodeToString(hash[:])) {
			t.Errorf("the list tells a secret: %s", list)
		}
		files, err := filepath.Glob(filepath.Join(filepath.Dir(strings.TrimPrefix(store, "sqlite:")), "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		stored := 0
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			stored += bytes.Count(content, hash[:])
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds a secret", file)
			}
		}
		if stored == 0 { // or these are not the files
			t.Errorf("none of %q holds a token's hash", files)
		}
	}
}

// refusedSoon waits until the server refuses a token that has been revoked.
func refusedSoon(t testing.TB, s *apiServer, token, path string) {
	t.Helper()
	soon(t, func() error {
		response, err := http.DefaultClient.Do(newRequest(t, s, token, path))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("a revoked token gets %s", response.Status)
		}
		return nil
	})
}

func TestTokenRevoke(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	other := output(t, "jobrund", "token", "create", "--name", "other", "--store", store)
	s := serve(t, store)
	for range 3 { // so that it is kept in memory
		ask(t, s, token, runPath, http.StatusOK)
		time.Sleep(10 * time.Millisecond)
	}
	if got := jobrund(t, "token", "revoke", "test", "--store", store); got != (outcome{}) {
		t.Errorf("%+v", got)
	}
	refusedSoon(t, s, token, runPath)
	ask(t, s, token, runPath, http.StatusUnauthorized)
	ask(t, s, other, runPath, http.StatusOK)
	for _, name := range []string{"test", "nothing", "' OR 1=1 --"} {
		got := jobrund(t, "token", "revoke", "--store", store, "--", name)
		if got.status != 1 || got.stdout != "" ||
			!strings.HasPrefix(got.stderr, `jobrund: there is no token named "`+name+`": `) {
			t.Errorf("%q: %+v", name, got)
		}
	}
	ask(t, s, other, runPath, http.StatusOK)
	// The name is free again, the old token is not valid again.
	again := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	ask(t, s, again, runPath, http.StatusOK)
	ask(t, s, token, runPath, http.StatusUnauthorized)
}

// TestTokenOutIsStandardOutput has a shell's standard output be a file, which must stay the same file.
func TestTokenOutIsStandardOutput(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	create := []string{"token", "create", "--store", newStore(t), "--name", "test", "--out"}
	for out, refused := range map[string]bool{"/dev/stdout": true, "-": false} {
		cmd := program(t, "jobrund", append(create, out)...)
		cmd.Stdout = file
		if err := cmd.Run(); (err != nil) != refused {
			t.Errorf("--out %s: %v, want an error: %t", out, err, refused)
		}
	}
	text, err := os.ReadFile(file.Name())
	if err != nil || !tokenLine.Match(text) {
		t.Errorf("%q: %v", text, err)
	}
	opened, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(file.Name()); err != nil || !os.SameFile(opened, now) {
		t.Errorf("the file is replaced, %v", err)
	}
}

func TestTokenReplace(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	s := serve(t, store)
	ask(t, s, token, runPath, http.StatusOK)
	folder := t.TempDir()
	file := filepath.Join(folder, "token")
	if err := os.WriteFile(file, []byte("an old one, which others may read"), 0o644); err != nil {
		t.Fatal(err)
	}
	create := []string{"token", "create", "--store", store, "--out", file, "--name"}
	if got := jobrund(t, append(create, "test")...); got.status != 1 || !strings.Contains(got.stderr, "--replace") {
		t.Errorf("a name that is taken: %+v", got)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{folder, filepath.Join(folder, "none", "file"), link, "/dev/stdout", "/dev/fd/1", os.DevNull} {
		got := jobrund(t, append(create, "test", "--replace", "--out", where)...)
		if got.status != 1 || !strings.HasPrefix(got.stderr, "jobrund: --out: ") {
			t.Errorf("--out %s: %+v", where, got)
		}
	}
	ask(t, s, token, runPath, http.StatusOK) // nothing has been revoked in vain
	for _, name := range []string{"test", "new"} {
		if got := jobrund(t, append(create, name, "--replace")...); got != (outcome{}) {
			t.Errorf("%+v", got)
		}
		text, err := os.ReadFile(file)
		if err != nil || !tokenLine.Match(text) {
			t.Errorf("%q: %v", text, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("the file's mode is %v: %v", info.Mode(), err)
		}
		ask(t, s, strings.TrimSpace(string(text)), runPath, http.StatusOK)
	}
	refusedSoon(t, s, token, runPath)
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("%v: %v", files, err)
	}
}

func TestTokenRestrictions(t *testing.T) {
	t.Parallel()
	store, _ := documentedStore(t)
	s := serve(t, store)
	const missing = `lacks the permission "Project > Jobs > General > Read"`
	for name, test := range map[string]struct {
		flags, path string
		status      int
		says        string
	}{
		"expired":                {"--expires-in 1ns", runPath, 401, "the token has expired"},
		"not expired":            {"--expires-in 1h", runPath, 200, ""},
		"logs by default":        {"", logsPath, 403, `lacks the permission "` + logsPermission + `"`},
		"another project":        {"--project other", runPath, 403, missing + " in that project"},
		"one of its teams":       {"--team other,default", teamRunPath, 200, ""},
		"no team of several":     {"--team other,default", runPath, 400, "several teams (other, default)"},
		"another team by itself": {"--team other", runPath, 404, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"token", "create", "--store", store, "--name", strings.ReplaceAll(name, " ", "-")},
				strings.Fields(test.flags)...)
			token := output(t, "jobrund", args...)
			if got := ask(t, s, token, test.path, test.status); !strings.Contains(got, test.says) {
				t.Errorf("%q, without %q", got, test.says)
			}
		})
	}
}

func TestRecordingTokenCanOnlyRecord(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	file := recordingToken(t, a.store, "--name", "limited", "--project", "p")
	limited := recordingClient(t, a.server, file)
	for name, test := range map[string]struct {
		recorder *client.Client
		project  string
		status   int
	}{
		"its project":        {limited, "p", http.StatusOK},
		"another project":    {limited, "other", http.StatusForbidden},
		"a token that reads": {a.Client, "p", http.StatusForbidden},
	} {
		ref := client.RunRef{Project: test.project, Job: "j", Run: "r"}
		_, response, err := test.recorder.RecordJobRun(t.Context(), ref, client.JobRunReport{})
		if response == nil || response.StatusCode != test.status {
			t.Errorf("%s: %v, want %d", name, err, test.status)
		}
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const jobs = "/v1/projects/p/jobs"
	for _, path := range []string{
		"/v1/projects", jobs, jobs + "/j/runs", jobs + "/j/runs/r", jobs + "/j/runs/r/outcome", jobs + "/j/logs",
	} {
		ask(t, a.server, strings.TrimSpace(string(token)), path, http.StatusForbidden)
	}
}
