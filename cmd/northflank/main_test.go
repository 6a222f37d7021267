package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // the scripts have TZ

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"northflank": func() {
		reasonTimeout = 500 * time.Millisecond // scripts wait for it
		main()
	}})
}

// TestScripts runs the program as a process. The scripts find a server at $HOST and one at $OTHER,
// which know good-token, and what those were asked in host.log and other.log.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector holds up each process for a second
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			for name, file := range map[string]string{"HOST": "host.log", "OTHER": "other.log"} {
				server := httptest.NewServer(api(filepath.Join(env.WorkDir, file)))
				env.Defer(server.Close)
				env.Setenv(name, server.URL)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "mode": mode, "expand": expand},
	})
}

// exits is the script command "exits STATUS COMMAND [ARG...]".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// mode is the script command "mode OCTAL FILE".
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode %s, want %s", got, args[0])
	}
}

// expand is the script command "expand FROM TO", which writes TO, a new file, as FROM with its
// variables.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	to := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(to), 0o700))
	ts.Check(os.RemoveAll(to))
	ts.Check(os.WriteFile(to, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o640))
}

// runs are the responses by the run's id.
var runs = map[string]struct {
	status  int
	body    string
	headers map[string]string
}{
	"documented": {
		200,
		`{"data": {"id": "d34582a4-35bd-4c71-8e7c-e36999b88723", "active": 0, "backoffLimit": 0, "completions": 1,
		"concluded": true, "failed": 0, "runName": "example-job-5fcf67bc56e1913e21d49504", "status": "SUCCESS",
		"succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`,
		nil,
	},
	"running": {200, `{"data": {"id": "running", "active": 1, "backoffLimit": 3, "completions": 0, "concluded": false,
		"failed": 0, "runName": "no", "status": "RUNNING", "succeeded": 0, "concludedAt": null,
		"startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"newer": {200, `{"data": {"priority": 1e3, "id": "0018", "status": "PAUSED \u0026 \u003cwaiting\u003e", "runName": "? x",
		"concluded": true, "startedAt": null, "concludedAt": "2020-12-08T11:52:08Z", "tags": ["no", {"no": "=", "none": []}]}}`, nil},
	"bare": {200, `{"data": {"id": "bare", "status": "RUNNING"}}`, nil},
	"evil": {200, `{"data": {"id": "evil", "runName": "\u001b[31mred\u202e\nStatus SUCCESS", "status": "\u001b[2J",
		"startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"evil-error": {500, `{"error": {"message": "\u001b[31mred\r\n"}}`, nil},
	"forbidden":  {403, `{"error": {"status": 403, "message": "lacks the permission", "id": "req-1"}}`, nil},
	"limited": {
		429,
		`{"error": {"status": 429, "message": "slow down", "id": "req-1"}}`,
		map[string]string{"Retry-After": "3600"},
	},
	"limited-too": {429, `{"error": {"message": "slow down"}}`, map[string]string{"X-RateLimit-Reset": "3600"}},
	"broken":      {500, `{"error": {"status": 500, "message": "internal server error", "id": "req-1"}}`, nil},
	"html":        {200, `<html><h1>Log in</h1>`, map[string]string{"Content-Type": "text/html"}},
	"redirect":    {302, "", map[string]string{"Location": "http://127.0.0.1:1/"}},
	"missing":     {404, `{"error": {"status": 404, "message": "not found", "id": "req-1"}}`, nil},
	"retried": {200, `{"data": {"id": "running", "active": 1, "backoffLimit": 3, "completions": 1, "concluded": false,
		"failed": 0, "runName": "no", "status": "RUNNING", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z"}}`, nil},
	"lost": {200, `{"data": {"id": "lost", "active": 0, "backoffLimit": 2, "completions": 3, "concluded": true,
		"failed": 1, "runName": "nightly-3", "status": "FAILED", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`, nil},
	"failed": {200, `{"data": {"id": "running", "active": 0, "backoffLimit": 0, "completions": 1, "concluded": true,
		"failed": 1, "runName": "no", "status": "FAILED", "succeeded": 0, "startedAt": "2020-12-08T11:47:08Z", "concludedAt": "2020-12-08T11:52:08Z"}}`, nil},
	"odd": {
		200,
		`{"data": {"id": "odd", "concluded": true, "runName": "no", "status": "CANCELLED", "startedAt": "2020-12-08T11:47:08Z"}}`,
		nil,
	},
}

// sequences are runs that are answered like one of the above after the other, and like the last
// ever after. Nothing is a connection that breaks.
var sequences = map[string][]string{
	"succeeds": {"running", "documented"},
	"fails":    {"running", "failed"},
	"restarts": {"running", "", "", "retried", "documented"}, // twice: net/http itself asks again on another connection
	"vanishes": {"running", "missing"},
	"starts":   {"missing", "missing", "running", "documented"},
	"refuses":  {"missing", "forbidden"},
	"departs":  {"missing", "running", "missing"},
}

// api answers like the contract, though nothing is held, and writes down what it is asked and with
// which token.
func api(logFile string) http.HandlerFunc {
	var mu sync.Mutex
	asked := map[string]int{} // how often, by the run's id
	return func(w http.ResponseWriter, r *http.Request) {
		log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer log.Close()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		fmt.Fprintln(log, r.Method, r.URL.RequestURI(), token)

		w.Header().Set("Content-Type", "application/json")
		if token != "good-token" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error": {"status": 401, "message": "unknown token %s", "id": "req-1"}}`, token)
			return
		}
		w.Header().Set("X-Request-Id", "req-0")
		w.Header().Set("X-RateLimit-Limit", "1000")
		w.Header().Set("X-RateLimit-Remaining", "998")
		w.Header().Set("X-RateLimit-Reset", "3599")
		if r.URL.Path == "/v1/login" {
			io.WriteString(w, `{"data": {}}`)
			return
		}
		if serveList(w, r) || serveOutcome(w, r) {
			return
		}
		if prefer := r.Header.Get("Prefer"); prefer != "" {
			w.Header().Set("Preference-Applied", prefer)
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if sequence := sequences[id]; sequence != nil {
			mu.Lock()
			n := min(asked[id], len(sequence)-1)
			asked[id]++
			mu.Unlock()
			if id = sequence[n]; id == "" {
				panic(http.ErrAbortHandler)
			}
		}
		run, ok := runs[id]
		if !ok {
			run = runs["missing"]
		}
		for name, value := range run.headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(run.status)
		io.WriteString(w, run.body)
	}
}
