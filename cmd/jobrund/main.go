// Command jobrund records runs of jobs and answers for them over HTTP.
//
// It does exec with a store in SQLite by itself, and hands all else over to the program jobrund-server beside it: what that
// links would make each command that is recorded start three times as slowly.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jobruns/jobruns/cmd/internal/jobrund"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		jobrund.Main(jobrund.NewExec(handOver, sqlite.Engine))
	}
	handOver()
	os.Exit(1)
}

// handOver becomes jobrund-server, with the same arguments. Returns only if that fails, after it has said why.
func handOver() {
	fmt.Fprintf(os.Stderr, "jobrund: only exec with a store in SQLite works without the program jobrund-server: install it beside this one (%v)\n", become())
}

// become returns only if it fails.
func become() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(self), "jobrund-server")
	if _, err := os.Stat(program); err != nil {
		found, lookErr := exec.LookPath("jobrund-server")
		if lookErr != nil {
			return err
		}
		program = found
	}
	return syscall.Exec(program, os.Args, os.Environ())
}
