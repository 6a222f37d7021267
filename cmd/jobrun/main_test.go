package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/server/jobrun"
)

// program is the built program.
var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "jobrun-test-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(folder, "jobrun")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	if signal.Ignored(syscall.SIGHUP) { // the tests run under nohup, and the programs must not
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

const token = "a-token"

// store is a server in memory that merges reports as a real one does.
type store struct {
	mu      sync.Mutex
	records map[string]jobrun.Record // by path
	reports []client.JobRunReport
	// refuse returns the status to respond with instead, or 0; nil refuses nothing.
	refuse func(*http.Request, client.JobRunReport) int
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, message string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"status": status, "message": message, "id": "1"}})
	}
	var report client.JobRunReport
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if r.Header.Get("Authorization") != "Bearer "+token {
		fail(http.StatusUnauthorized, "not a valid token")
		return
	} else if err := decoder.Decode(&report); err != nil {
		fail(http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if status := s.refuse(r, report); status != 0 {
			fail(status, "refused")
			return
		}
	}
	record := s.records[r.URL.Path]
	record.Run.ID = r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if err := record.Apply(report, time.Now()); err != nil {
		fail(http.StatusConflict, err.Error())
		return
	}
	if s.records == nil {
		s.records = map[string]jobrun.Record{}
	}
	s.records[r.URL.Path] = record
	s.reports = append(s.reports, report)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": record.Run})
}

// only returns the run that was recorded, and fails the test unless there is one run.
func (s *store) only(t *testing.T) jobrun.Record {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) != 1 {
		t.Fatalf("%d runs are recorded, want 1", len(s.records))
	}
	for _, record := range s.records {
		return record
	}
	panic("unreachable")
}

// count returns how many runs are recorded.
func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// get returns the run with that path.
func (s *store) get(path string) jobrun.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[path]
}

// logOf returns the recorded output.
func logOf(record jobrun.Record) string {
	var all []string
	for _, line := range record.Log {
		all = append(all, line.Log)
	}
	return strings.Join(all, "\n")
}

// host of a test: its folder has the spool and the token.
type testHost struct {
	t      *testing.T
	folder string
	server string
	env    []string
}

func newHost(t *testing.T, handler http.Handler) *testHost {
	t.Helper()
	h := &testHost{t: t, folder: t.TempDir(), server: "http://127.0.0.1:1"}
	if handler != nil {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		h.server = server.URL
	}
	if err := os.WriteFile(h.path("token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.folder, "JOBRUN_SPOOL=" + h.path("spool"), "JOBRUN_PROJECT=p",
		"JOBRUN_JOB=j", "JOBRUN_TOKEN_FILE=" + h.path("token"), "JOBRUN_SERVER=" + h.server, "JOBRUN_CA_CERT=",
	}
	return h
}

func (h *testHost) path(name string) string { return filepath.Join(h.folder, name) }

func (h *testHost) write(name, text string) string {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return h.path(name)
}

// command returns jobrun with these arguments, without a terminal.
func (h *testHost) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = h.env, h.folder
	return cmd
}

// run runs jobrun, and returns what it and its command print, and its exit status.
func (h *testHost) run(args ...string) (stdout, stderr string, status int) {
	h.t.Helper()
	cmd := h.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	status = wait(h.t, cmd, cmd.Start())
	return out.String(), errs.String(), status
}

// wait returns the exit status of a command, which Start has returned the error for.
func wait(t *testing.T, cmd *exec.Cmd, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// files returns the files in the spool whose names have that suffix.
func (h *testHost) files(suffix string) []string {
	files, _ := filepath.Glob(h.path("spool/*" + suffix))
	return files
}

// await waits until the condition is true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

func TestJobrunExitsWithStatusOfCommand(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		reason string
		stderr string
	}{
		"success":        {[]string{"true"}, 0, "Completed", "jobrun: run "},
		"exit status":    {[]string{"sh", "-c", "exit 3"}, 3, "ExitStatus", ""},
		"signal":         {[]string{"sh", "-c", "kill -9 $$"}, 137, "Signal", ""},
		"missing path":   {[]string{"/no/such/program"}, 127, "NotFound", "/no/such/program: no such file"},
		"missing name":   {[]string{"no-such-program"}, 127, "NotFound", `"no-such-program": executable file not found`},
		"no interpreter": {[]string{"./broken"}, 127, "NotFound", "./broken exists, but its interpreter does not"},
		"not executable": {[]string{"./token"}, 126, "NotExecutable", "./token: permission denied"},
		"script":         {[]string{"./script", "7"}, 7, "ExitStatus", ""},
		"script in PATH": {[]string{"script", "7"}, 7, "ExitStatus", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{}
			h := newHost(t, s)
			h.env = append(h.env, "PATH=.:"+os.Getenv("PATH"))
			for name, text := range map[string]string{"script": "exit $1\n", "broken": "#!/no/such/shell\n"} {
				if err := os.WriteFile(h.path(name), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, stderr, status := h.run(append([]string{"--"}, test.args...)...)
			record := s.only(t)
			if status != test.status || *record.Outcome.Reason != test.reason || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d, reason %s, stderr %s", status, *record.Outcome.Reason, stderr)
			}
			if succeeded := record.Run.Status == client.JobRunStatusSuccess; succeeded != (status == 0) {
				t.Errorf("the run is %s", record.Run.Status)
			}
			if len(h.files("")) > 0 {
				t.Errorf("the spool has %v", h.files(""))
			}
		})
	}
}

func TestJobrunRejectsWrongUsage(t *testing.T) {
	h := newHost(t, nil)
	for _, args := range [][]string{
		{}, {"--job", "a b", "true"}, {"--run", "", "true"}, {"--server", "ftp://a", "true"}, {"--timeout", "-1s", "true"},
		{"--backoff-limit", "1000001", "true"}, {"--flush", "x"}, {"--nonsense", "true"},
	} {
		if _, stderr, status := h.run(args...); status != 2 || !strings.Contains(stderr, "See jobrun --help") {
			t.Errorf("%q: status %d, %s", args, status, stderr)
		}
	}
}

func TestCommandHasStreamsAndEnvironmentOfJobrun(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	h.env = append(h.env, "JOBRUN_TOKEN=secret", "TRACEPARENT=00-1-2-01", "JOBRUN_ID=outer", "JOBRUN_TEAM=red")
	out, err := os.Create(h.path("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := h.command("--quiet", "--run", "r1",
		"sh", "-c", "readlink /proc/$$/fd/1; cat; env; grep SigIgn /proc/self/status")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("input\n"), out, out
	if status := wait(t, cmd, cmd.Start()); status != 0 {
		t.Errorf("status %d", status)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		out.Name(), "input", "JOBRUN_ID=r1", "JOBRUN_TEAM=red", "JOBRUN_PROJECT=p", "JOBRUN_JOB=j", "TRACEPARENT=00-1-2-01",
		"JOBRUN_TOKEN_FILE=" + h.path("token"),
	} {
		if !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, text)
		}
	}
	_, mask, _ := strings.Cut(string(text), "SigIgn:\t")
	ignored, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGXCPU, syscall.SIGXFSZ} {
		if err != nil || ignored&(1<<(sig-1)) != 0 {
			t.Errorf("the command ignores %s: %s, %v", sig, mask, err)
		}
	}
	if strings.Contains(string(text), "secret") || strings.Contains(string(text), "jobrun:") {
		t.Errorf("unexpected:\n%s", text)
	}
	if s.only(t); s.get("/v1/teams/red/projects/p/jobs/j/runs/r1").Run.RunName == "" {
		t.Errorf("the run is not recorded for the team")
	}
}

func TestJobrunRepeatsFailedAttempts(t *testing.T) {
	s := &store{}
	h := newHost(t, s)
	_, _, status := h.run("--backoff-limit", "2", "--backoff", "30ms", "--",
		"sh", "-c", "echo x >> tries; [ $(wc -l < tries) = 2 ]")
	record := s.only(t)
	if run := record.Run; status != 0 || run.Completions != 2 || run.BackoffLimit != 2 ||
		len(record.Outcome.Attempts) != 2 {
		t.Errorf("status %d, %+v, %+v", status, run, record.Outcome)
	}
}

func TestJobrunRecordsOverSocketAndTLS(t *testing.T) {
	s := &store{}
	h := newHost(t, nil)
	listener, err := net.Listen("unix", h.path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(listener, s) }()
	defer listener.Close()
	if _, stderr, status := h.run("--server", "unix://"+h.path("socket"), "--run", "a", "true"); status != 0 ||
		s.count() != 1 {
		t.Errorf("socket: status %d, %s", status, stderr)
	}
	server := httptest.NewTLSServer(s)
	defer server.Close()
	certificate := h.write("ca.pem", pemOf(server))
	_, stderr, status := h.run("--server", server.URL, "--ca-cert", certificate, "--run", "b", "true")
	if status != 0 || s.count() != 2 {
		t.Errorf("TLS: status %d, %s", status, stderr)
	}
}
