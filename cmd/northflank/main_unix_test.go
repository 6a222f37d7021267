//go:build unix

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// command is the program, asking the server for the documented run.
func command(t *testing.T, server string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("northflank", "get", "job", "run", "--project", "p", "--job", "j", "--run", "documented", "-o", "json")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), hostEnv+"="+server, tokenEnv+"=good-token")
	return cmd
}

func TestInterrupt(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	cmd := command(t, server.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v, want exit status %d", err, exitInterrupted)
	}
}

func TestBrokenPipe(t *testing.T) {
	server := httptest.NewServer(api(filepath.Join(t.TempDir(), "log")))
	defer server.Close()
	nobody, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	defer pipe.Close()
	cmd := command(t, server.URL)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = pipe, &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != exitError || !strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("%v, want exit status %d; standard error: %s", err, exitError, stderr.String())
	}
}
