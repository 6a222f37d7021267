// Command jobrund records runs of jobs and answers for them over HTTP.
//
// It does exec by itself, and hands all else over to the program jobrund-server beside it: what that links would make each
// command that is recorded start three times as slowly.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jobruns/jobruns/cmd/internal/jobrund"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		jobrund.Main(jobrund.NewExec())
	}
	err := handOver()
	fmt.Fprintf(os.Stderr, "jobrund: only exec works without the program jobrund-server: install it beside this one (%v)\n", err)
	os.Exit(1)
}

// handOver becomes jobrund-server, with the same arguments. Returns only if that fails.
func handOver() error {
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
