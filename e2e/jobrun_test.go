package e2e

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// api is a running server with a client that may see everything in it.
type api struct {
	*client.Client
	store  string
	server *apiServer
}

func newAPI(t testing.TB, store string) *api {
	t.Helper()
	token := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	s := serve(t, store)
	return &api{newClient(t, s, token), store, s}
}

// newClient returns a client whose responses are validated, because it uses http.DefaultTransport.
func newClient(t testing.TB, s *apiServer, token string, options ...client.Option) *client.Client {
	t.Helper()
	options = append(options, client.WithToken(token), client.WithHTTPClient(http.DefaultClient))
	c, err := client.New(s.url, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run returns the run as the API tells it.
func (a *api) run(t testing.TB, id string) *model.JobRun {
	t.Helper()
	run, _, err := a.GetJobRun(t.Context(), client.RunRef{Project: "p", Job: "j", Run: id})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// recorded returns jobrun as a command that runs a shell script as a run of job j in project p.
func recorded(t testing.TB, store, script string, flags ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"--store", store, "--project", "p", "--job", "j"}, flags...)
	return program(t, "jobrun", append(args, "--", "sh", "-c", script)...)
}

var announced = regexp.MustCompile(`(?m)^jobrun: run (\S+)$`)

// runID finds the id that jobrun announces, once.
func runID(t testing.TB, stderr string) string {
	t.Helper()
	ids := announced.FindAllStringSubmatch(stderr, -1)
	if len(ids) != 1 {
		t.Fatalf("the run's id is announced %d times: %s", len(ids), stderr)
	}
	return ids[0][1]
}

// exitStatus is that of a process as a shell knows it.
func exitStatus(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func TestJobrunRecordsHowTheCommandEnds(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	for name, test := range map[string]struct {
		script string
		flags  []string
		status int
		want   model.JobRun
	}{
		"success": {"true", nil, 0,
			model.JobRun{Completions: 1, Status: model.JobRunStatusSuccess, Succeeded: model.FlagYes}},
		"failure": {"exit 3", nil, 3,
			model.JobRun{Completions: 1, Status: model.JobRunStatusFailed, Failed: model.FlagYes}},
		"a signal": {"kill -TERM $$", nil, 143,
			model.JobRun{Completions: 1, Status: model.JobRunStatusFailed, Failed: model.FlagYes}},
		"success at last": {"echo x >> count; test $(wc -l < count) = 3", []string{"--backoff-limit", "5", "--backoff", "1ms"}, 0,
			model.JobRun{BackoffLimit: 5, Completions: 3, Status: model.JobRunStatusSuccess, Succeeded: model.FlagYes}},
		"no success": {"exit 9", []string{"--backoff-limit", "2", "--backoff", "1ms"}, 9,
			model.JobRun{BackoffLimit: 2, Completions: 3, Status: model.JobRunStatusFailed, Failed: model.FlagYes}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := recorded(t, a.store, test.script, test.flags...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if got := exitStatus(t, cmd.Run()); got != test.status {
				t.Errorf("exit status %d, want %d: %s", got, test.status, stderr.String())
			}
			run := a.run(t, runID(t, stderr.String()))
			want := test.want
			want.Concluded = true
			want.ID, want.RunName, want.StartedAt, want.ConcludedAt = run.ID, run.RunName, run.StartedAt, run.ConcludedAt
			if *run != want {
				t.Errorf("recorded %+v\nwant     %+v", *run, want)
			}
			if run.ConcludedAt == nil || run.ConcludedAt.Before(run.StartedAt) {
				t.Errorf("started at %s, concluded at %s", run.StartedAt, run.ConcludedAt)
			}
		})
	}
}

func TestJobrunTellsOfTheRunWhileItRuns(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	// The program's end of standard input keeps the command running.
	cmd := recorded(t, a.store, "echo started; read line")
	stdin, stdout, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	readLine(t, stdout)
	id := runID(t, readLine(t, stderr))
	run := a.eventually(t, id, func(*model.JobRun) bool { return true })
	if run.Status != model.JobRunStatusRunning || run.Active != model.FlagYes || run.Concluded ||
		run.ConcludedAt != nil ||
		run.Completions != 0 {
		t.Errorf("while it runs: %+v", *run)
	}
	if _, err := io.WriteString(stdin, "go on\n"); err != nil {
		t.Fatal(err)
	}
	if got := exitStatus(t, cmd.Wait()); got != 0 {
		t.Errorf("exit status %d", got)
	}
	if run := a.run(t, id); run.Status != model.JobRunStatusSuccess {
		t.Errorf("afterwards: %+v", *run)
	}
}

// eventually asks for a run until it is there and the condition holds. What is written in the
// background has no moment that another process could wait for; the test's own deadline is the only
// limit.
func (a *api) eventually(t testing.TB, id string, condition func(*model.JobRun) bool) *model.JobRun {
	t.Helper()
	for {
		run, _, err := a.GetJobRun(t.Context(), client.RunRef{Project: "p", Job: "j", Run: id})
		switch {
		case errors.Is(err, client.ErrNotFound):
		case err != nil:
			t.Fatal(err)
		case condition(run):
			return run
		}
	}
}

func pipes(t testing.TB, cmd *exec.Cmd) (stdin io.WriteCloser, stdout, stderr io.ReadCloser) {
	t.Helper()
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	stderr, errErr := cmd.StderrPipe()
	if err := errors.Join(inErr, outErr, errErr); err != nil {
		t.Fatal(err)
	}
	return stdin, stdout, stderr
}

// readLine reads byte by byte, and so nothing of the next line.
func readLine(t testing.TB, r io.Reader) string {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		if _, err := r.Read(b); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return string(line)
		}
	}
}

func TestJobrunLeavesStreamsAlone(t *testing.T) {
	t.Parallel()
	cmd := recorded(t, newStore(t), `cat; printf 'to stderr\0' >&2`)
	input := bytes.Repeat([]byte("\x00\xff\r\n"), 100_000)
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if got := exitStatus(t, cmd.Run()); got != 0 {
		t.Fatalf("exit status %d: %s", got, stderr.String())
	}
	if !bytes.Equal(stdout.Bytes(), input) {
		t.Errorf("%d bytes came out of %d", stdout.Len(), len(input))
	}
	if !strings.Contains(stderr.String(), "to stderr\x00") {
		t.Errorf("standard error: %q", stderr.String())
	}
}

// TestJobrunRecordsWhenTheStoreComesBack lets the command itself make the store possible.
func TestJobrunRecordsWhenTheStoreComesBack(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	folder := filepath.Dir(strings.TrimPrefix(store, "sqlite:"))
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	cmd := recorded(t, store, "read line; mkdir '"+folder+"'")
	stdin, _, stderr := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := runID(t, readLine(t, stderr))
	if warning := readLine(t, stderr); !strings.Contains(warning, "cannot be recorded") {
		t.Errorf("the warning is %q", warning)
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(stderr); err != nil || string(rest) != "jobrun: the run is recorded now\n" {
		t.Errorf("then on standard error: %q, %v", rest, err)
	}
	if got := exitStatus(t, cmd.Wait()); got != 0 {
		t.Errorf("exit status %d", got)
	}
	if run := newAPI(t, store).run(t, id); run.Status != model.JobRunStatusSuccess {
		t.Errorf("recorded %+v", *run)
	}
}

// TestJobrunWithoutAReaderOfStandardError must not be ended by its own warning.
func TestJobrunWithoutAReaderOfStandardError(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	cmd := recorded(t, newStore(t), "exit 5")
	cmd.Stderr = writer
	if got := exitStatus(t, cmd.Run()); got != 5 {
		t.Errorf("exit status %d, want 5", got)
	}
}

func TestManyJobrunsRecordAtOnce(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	stderrs := make([]strings.Builder, 10)
	var all sync.WaitGroup
	for i := range stderrs {
		cmd := recorded(t, store, "true")
		cmd.Stderr = &stderrs[i]
		all.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, stderrs[i].String())
			}
		})
	}
	all.Wait()
	a := newAPI(t, store)
	for i := range stderrs {
		if run := a.run(t, runID(t, stderrs[i].String())); run.Status != model.JobRunStatusSuccess {
			t.Errorf("recorded %+v", *run)
		}
	}
}
