// Command northflank finds job runs and shows their details, like the official command line of the
// same name.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// What the program exits with.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitFailed      = 3   // the run that was waited for
	exitTimeout     = 4   // before it was over
	exitInterrupted = 130 // 128 + SIGINT, as a shell would say
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // writing to a pipe that nobody reads is an error like any other
	exitOnInterrupt()
	os.Exit(run(os.Args[1:]))
}

// exitOnInterrupt ends the program at Ctrl-C, whatever it waits for, with the terminal as it was
// found: a prompt for a token turns the echo off. In the background of a script, where SIGINT is
// ignored, it stays ignored.
func exitOnInterrupt() {
	if signal.Ignored(os.Interrupt) {
		return
	}
	stdin := int(os.Stdin.Fd())
	state, err := term.GetState(stdin) // fails where stdin is no terminal
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		<-interrupts
		if err == nil {
			_ = term.Restore(stdin, state) // there is nobody left to tell
		}
		if tidy := interrupted.Load(); tidy != nil {
			(*tidy)()
		}
		os.Exit(exitInterrupted)
	}()
}

var interrupted atomic.Pointer[func()]

// beforeInterrupt has tidy called before Ctrl-C ends the program, instead of what was to be called
// until now.
func beforeInterrupt(tidy func()) { interrupted.Store(&tidy) }

// run carries out a command line and returns the exit status.
func run(args []string) int {
	root := newRoot()
	// What fails before a command has begun is the command line: cobra's errors have no type of
	// their own.
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	message := printable(err.Error())
	var usage usageError
	if begun && !errors.As(err, &usage) {
		if message != "" {
			fmt.Fprintf(os.Stderr, "northflank: %s\n", message)
		}
		if ended := (*outcome)(nil); errors.As(err, &ended) {
			return ended.status
		}
		return exitError
	}
	fmt.Fprintf(os.Stderr, "northflank: %s (see %s --help)\n", message, cmd.CommandPath())
	return exitUsage
}

// usageError is a mistake in the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// outcome is an error with an exit status of its own. There is nothing to say about it if the
// message is empty.
type outcome struct {
	status  int
	message string
}

func (o *outcome) Error() string { return o.message }
