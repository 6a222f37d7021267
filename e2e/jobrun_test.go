package e2e

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// api is a running server with a client that may see everything in it.
type api struct {
	*client.Client
	store    string
	server   *apiServer
	recorder string // path of a file with a token that records
}

func newAPI(t testing.TB, store string, flags ...string) *api {
	t.Helper()
	token := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	recorder := recordingToken(t, store)
	s := serve(t, store, flags...)
	return &api{newClient(t, s, token), store, s, recorder}
}

// recordingToken creates a token that records, and returns the path of its file.
func recordingToken(t testing.TB, store string, flags ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "token")
	output(t, "jobrund", append([]string{
		"token", "create", "--name", "recorder", "--record", "--out", file, "--store", store}, flags...)...)
	return file
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

// recordingClient returns a client that records with the token of that file.
func recordingClient(t testing.TB, s *apiServer, file string) *client.Client {
	t.Helper()
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, s, strings.TrimSpace(string(token)))
}

// run returns the run as the API tells it.
func (a *api) run(t testing.TB, id string) *model.JobRun {
	t.Helper()
	run, _, err := a.GetJobRun(t.Context(), refTo(id))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// recorded returns jobrun as a command that runs a shell script as a run of job j in project p.
func recorded(t testing.TB, a *api, script string, flags ...string) *exec.Cmd {
	t.Helper()
	return a.jobrun(t, append(append([]string{"--project", "p", "--job", "j"}, flags...), "--", "sh", "-c", script)...)
}

// jobrun returns jobrun as a command that uses the server.
func (a *api) jobrun(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, "jobrun", args...)
	cmd.Env = append(cmd.Env, "JOBRUN_SERVER="+a.server.url, "JOBRUN_TOKEN_FILE="+a.recorder)
	return cmd
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

// TestJobrunDoesNotNeedItsStandardError has one that nobody reads, closed or full.
func TestJobrunDoesNotNeedItsStandardError(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	for _, id := range []string{"closed", "full"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		defer writer.Close()
		if id == "closed" {
			reader.Close()
		} else if raw, err := writer.SyscallConn(); err != nil || raw.Write(func(fd uintptr) bool {
			for err == nil { // it does not block
				_, err = unix.Write(int(fd), []byte("x"))
			}
			return true
		}) != nil {
			t.Fatal(err)
		}
		cmd := recorded(t, a, "echo ran; exit 5", "--run", id)
		cmd.Stderr = writer
		out, err := cmd.Output()
		if got := exitStatus(t, err); got != 5 || string(out) != "ran\n" {
			t.Errorf("%s: exit status %d, %q", id, got, out)
		}
		if run := a.run(t, id); run.Status != model.JobRunStatusFailed {
			t.Errorf("recorded %+v", *run)
		}
	}
}
