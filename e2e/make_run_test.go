//go:build e2e

package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// runnable is a command that make run prints, to paste into another terminal.
var runnable = regexp.MustCompile(`(?m)^  curl -H "Authorization: (Bearer \S+)" (http\S+)$`)

// makeRun types make run in the folder, asks for the run that it has recorded, and types Ctrl-C. It
// returns what was printed.
func makeRun(t *testing.T, folder, address string) string {
	t.Helper()
	printed, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	if err != nil {
		t.Fatal(err)
	}
	defer printed.Close()
	process := exec.CommandContext(t.Context(), "make", "run", "ADDR="+address)
	process.Dir, process.Stdout, process.Stderr = folder, printed, printed
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell starts it
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait() // make reports the interruption as an error
	}()
	interrupt := func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGINT) // unless it has ended
		<-ended
	}
	defer interrupt()
	text := func() string {
		t.Helper()
		data, err := os.ReadFile(printed.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	until(t, func() bool {
		select {
		case <-ended:
			t.Fatalf("make run has ended: %s", text())
		default:
		}
		return strings.Contains(text(), "Ctrl-C ends it")
	})
	command := runnable.FindStringSubmatch(text())
	if command == nil {
		t.Fatalf("there is nothing to paste: %s", text())
	}
	for url, want := range map[string]string{
		"http://" + address + "/": "<title>jobruns</title>",
		command[2]:                `"status":"SUCCESS"`,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", command[1])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v, want %s", url, body, err, want)
		}
	}
	interrupt()
	return text()
}

// TestMakeRun is what the README says first, in a new clone: from there to the page takes one
// command. It can be stopped and started again, and a port that is taken is no riddle.
func TestMakeRun(t *testing.T) {
	t.Parallel()
	source := taggedClone(t, t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): "run: another program listens on " + taken.Addr().String() + ": stop it, or choose another port\n",
		"8081":                "run: ADDR=8081 is not an address and a port, such as 127.0.0.1:8081\n",
		"127.0.0.1:x":         "run: ADDR=127.0.0.1:x is not an address and a port, such as 127.0.0.1:8081\n",
	} {
		cmd := exec.Command("make", "run", "ADDR="+address)
		cmd.Dir = source
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("make run ADDR=%s: %v, %s, want %s", address, err, out, want)
		}
	}
	if _, err := os.Stat(filepath.Join(source, "bin")); err == nil {
		t.Error("something was built before the address was looked at")
	}

	address := freeAddress(t)
	first, second := makeRun(t, source, address), makeRun(t, source, address)
	if !strings.Contains(first, "run: recording a first run") || strings.Contains(second, "run: recording a first run") {
		t.Errorf("a first run is recorded the first time only: %s%s", first, second)
	}
	if got, want := runnable.FindString(second), runnable.FindString(first); got != want {
		t.Errorf("the second time says %q, want %q", got, want)
	}
}
