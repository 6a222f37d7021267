// Command northflank finds job runs and shows their details, like the official command line of the
// same name.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/cmd/internal/version"
)

// The exit statuses of the program.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitFailed      = 3   // the run of --wait failed
	exitTimeout     = 4   // the run of --wait has not concluded in time
	exitInterrupted = 130 // 128 + SIGINT, as in a shell
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // writing to a pipe without a reader is an error like any other
	exitOnInterrupt()
	os.Exit(run(os.Args[1:]))
}

// exitOnInterrupt ends the program at Ctrl-C and restores the terminal, because a prompt for a token
// turns the echo off. In the background of a script, where SIGINT is ignored, it stays ignored.
func exitOnInterrupt() {
	if signal.Ignored(os.Interrupt) {
		return
	}
	stdin := int(os.Stdin.Fd())
	state, err := term.GetState(stdin) // fails if stdin is no terminal
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		<-interrupts
		if err == nil {
			_ = term.Restore(stdin, state) // the program ends anyway
		}
		if tidy := interrupted.Load(); tidy != nil {
			(*tidy)()
		}
		os.Exit(exitInterrupted)
	}()
}

var interrupted atomic.Pointer[func()]

// beforeInterrupt sets the function that runs before Ctrl-C ends the program.
func beforeInterrupt(tidy func()) { interrupted.Store(&tidy) }

// run carries out a command line and returns the exit status.
func run(args []string) int {
	root := newRoot()
	// Cobra's errors have no type of their own. An error from before the command starts is an error in
	// the command line.
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	message := escape(err.Error())
	var usage usageError
	if begun && !errors.As(err, &usage) {
		if message != "" {
			fmt.Fprintf(os.Stderr, "northflank: %s\n", message)
		}
		if exit := (*exitStatus)(nil); errors.As(err, &exit) {
			return exit.status
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

// exitStatus is an error with an exit status of its own. An empty message is not printed.
type exitStatus struct {
	status  int
	message string
}

func (e *exitStatus) Error() string { return e.message }

func newRoot() *cobra.Command {
	root := newGroup("northflank", "See how the runs of your jobs are doing", newLogin(), newContext(),
		newGroup("list", "List projects, jobs or runs", newListProjects(), newListJobs(), newListRuns()),
		newGroup("get", "Show something", newGetJob()))
	root.Long = `See how the runs of your jobs are doing, at Northflank or wherever jobrund serves.

The exit status is 0 for success, 1 for an error and 2 for a wrong command line. "northflank get job run --wait" has more.`
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return cmp.Or(noArgs(cmd, cmd.Flags().Args()), err) // the flag may be of an unknown command
	})
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	version.Add(root)
	version.AddCommand(root)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		requireSubcommand(completion)
	}
	return root
}

// newGroup makes a command that only has subcommands.
func newGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: name, Short: short}
	group.AddCommand(commands...)
	requireSubcommand(group)
	return group
}

// requireSubcommand reports a usage error if the subcommand is missing or unknown. Cobra would show
// the help and report success.
func requireSubcommand(group *cobra.Command) {
	group.Args = noArgs
	group.RunE = func(cmd *cobra.Command, _ []string) error {
		return usagef("%s what? Commands: %s", cmd.CommandPath(), strings.Join(subcommands(cmd), ", "))
	}
	group.DisableFlagsInUseLine = true
}

func subcommands(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// noArgs rejects arguments. Most of them are commands that only the official command line has.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err == nil || !cmd.HasSubCommands() {
		return err
	}
	return usagef("unknown command %q for %q, which has %s. This program does not start, abort or change jobs, and has "+
		"no containers, builds or metrics", args[0], cmd.CommandPath(), strings.Join(subcommands(cmd), ", "))
}
