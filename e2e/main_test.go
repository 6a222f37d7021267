// Package e2e tests the built programs from the outside: it starts them, sends them real requests,
// and reads what a person would read. What needs more than Go is behind the build tag e2e.
package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/e2e/contracttest"
)

// programs is the folder of the built programs.
var programs string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	folder, err := os.MkdirTemp("", "jobruns-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder, "../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does: a C library takes 5 ms to load
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	programs = folder
	http.DefaultTransport = contracttest.Transport{Next: http.DefaultTransport}
	status := m.Run()
	if err := writeComparisons(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// program returns a command that runs one of the programs with an environment of its own: no home
// directory, no spool, and no variables of the person who runs the tests.
func program(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=" + os.Getenv("PATH"), "JOBRUN_SPOOL=" + filepath.Join(cmd.Dir, "spool")}
	return cmd
}

// output runs a program that must succeed, and returns what it wrote to standard output, without
// the last line's end.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := program(t, name, args...)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, failure.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// newStore returns the URL of a store that is not there yet.
func newStore(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "jobruns.db")
}

// apiServer is a running jobrund serve.
type apiServer struct {
	url     string
	process *exec.Cmd
	log     *serverLog // complete once the process has ended
	logged  chan struct{}
}

// serverLog is what a server has logged so far.
type serverLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server and waits until it says where it listens. The test stops it in the end, if
// it still runs. It has no rate limit unless the arguments say so.
func serve(t testing.TB, store string, args ...string) *apiServer {
	t.Helper()
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--store", store, "--rate-limit", "0"}, args...)
	return startServer(t, program(t, "jobrund", args...))
}

// startServer is serve for a command that is ready to start.
func startServer(t testing.TB, process *exec.Cmd) *apiServer {
	t.Helper()
	s := &apiServer{
		process: process,
		log:     new(serverLog),
		logged:  make(chan struct{}),
	}
	stderr, err := s.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	var entry struct{ Msg, URL string }
	if jsonErr := json.Unmarshal([]byte(first), &entry); err != nil || jsonErr != nil || entry.Msg != "serving" {
		rest, _ := io.ReadAll(lines)
		t.Fatalf("the server says %q, not where it serves: %s (%v)", first, rest, s.process.Wait())
	}
	s.url = entry.URL
	go func() {
		defer close(s.logged)
		_, _ = io.Copy(s.log, io.MultiReader(strings.NewReader(first), lines))
	}()
	t.Cleanup(func() {
		if s.process.ProcessState == nil {
			s.stop(t, syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

// stop ends the server with the signal, and returns how it ended.
func (s *apiServer) stop(t testing.TB, signal syscall.Signal) *os.ProcessState {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-s.logged
	_ = s.process.Wait() // the state says more
	return s.process.ProcessState
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
