// Package cli is what the programs jobrun and jobrund have in common: how they take flags and report
// errors.
package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/server/jobrun"
)

// The exit statuses, besides 0 and those of ExitStatus.
const (
	exitError = 1
	exitUsage = 2
)

// ExitStatus is an error that ends the program with that status and without a message.
type ExitStatus int

// Error returns the status in words.
func (s ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// UsageError says what a person typed wrong. It ends the program with the status 2.
type UsageError struct{ error }

// Usagef returns an error that says what a person typed wrong.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Main runs a program whose root command Prepare has prepared, and does not return.
func Main(root *cobra.Command) { os.Exit(run(root, os.Args[1:])) }

func run(root *cobra.Command, args []string) int {
	root.SetArgs(args)
	command, err := root.ExecuteC()
	var status ExitStatus
	var usage UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "%s: %v\nSee %s --help\n", root.Name(), err, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", root.Name(), err)
	return exitError
}

// Variables returns the environment variables of a flag, by its name, if it has any. The first that
// is set and not empty counts.
type Variables func(flag string) []string

// Variable returns the environment variable of a program's flag: JOBRUND_STORE for the flag store
// of jobrund.
func Variable(program, flag string) string {
	return strings.ToUpper(program + "_" + strings.ReplaceAll(flag, "-", "_"))
}

// Prepare makes a command and those below it take their flags from the environment too, and tells
// wrong usage, which cobra finds before a command runs, from what fails later. All commands must
// have been added before.
func Prepare(cmd *cobra.Command, variables Variables) {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	fromEnvironment := func(f *pflag.Flag) {
		if names := variables(f.Name); isSetting(f) && len(names) > 0 {
			f.Usage += fmt.Sprintf(" [$%s]", strings.Join(names, ", $"))
		}
	}
	cmd.PersistentFlags().VisitAll(fromEnvironment)
	cmd.LocalNonPersistentFlags().VisitAll(fromEnvironment)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return UsageError{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return UsageError{err}
			}
			return nil
		}
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := setFromEnvironment(cmd, variables); err != nil {
			return err
		}
		if err := cmd.ValidateRequiredFlags(); err != nil {
			return UsageError{err}
		}
		return nil
	}
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr()) // nobody asked for help
			return errors.Join(cmd.Help(), ExitStatus(exitUsage))
		}
	}
	for _, sub := range cmd.Commands() {
		Prepare(sub, variables)
	}
}

// Arguments allows some arguments, each with the name that the command's usage gives it. The last
// may come again if it ends with "...".
func Arguments(required int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < required {
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		more := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		if len(args) > len(names) && !more {
			unexpected := args[len(names)]
			if strings.ContainsAny(unexpected, "@=") { // a store's URL, without its flag, may have a password
				unexpected = "..."
			}
			return fmt.Errorf("unexpected argument %q", unexpected)
		}
		return nil
	}
}

// isSetting reports whether a flag can be set in the environment.
func isSetting(f *pflag.Flag) bool {
	return f.Name != "help" && f.Name != "version" && f.Name != "completion"
}

func setFromEnvironment(cmd *cobra.Command, variables Variables) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || !isSetting(f) {
			return
		}
		for _, name := range variables(f.Name) {
			value := os.Getenv(name)
			if value == "" {
				continue // as if it were not set
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, Usagef("%s=%q: %w", name, value, err))
			}
			return
		}
	})
	return errors.Join(errs...)
}

// Require marks flags of the command as required.
func Require(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err) // there is no such flag
		}
	}
}

// CheckID checks what a person typed for a flag against the contract.
func CheckID(flag, value string) error {
	if err := jobrun.CheckID(value); err != nil {
		return Usagef("--%s %q: %w", flag, value, err)
	}
	return nil
}
