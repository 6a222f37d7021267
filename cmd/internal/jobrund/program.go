// Package jobrund is what the two programs of jobrund have in common: how they take flags and report errors, and exec.
package jobrund

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// The exit statuses, besides 0 and what exec passes on.
const (
	exitError = 1
	exitUsage = 2
)

// exitStatus ends the program with a status of its own and without a message.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// UsageError is what a person typed wrong.
type UsageError struct{ error }

// Usagef returns an error that says what a person typed wrong.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Main is a program with some of the commands, and does not return.
func Main(commands ...*cobra.Command) { os.Exit(run(Root(commands...), os.Args[1:])) }

func run(root *cobra.Command, args []string) int {
	root.SetArgs(args)
	command, err := root.ExecuteC()
	var status exitStatus
	var usage UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "jobrund: %v\nSee %s --help\n", err, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "jobrund: %v\n", err)
	return exitError
}

// Root returns the command jobrund with some of the commands below it.
func Root(commands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "jobrund",
		Short: "Record runs of jobs and answer for them over HTTP",
		Long: `jobrund records runs of jobs in a store and answers the "get run details"
endpoint of the Northflank API from it.

Every flag can also be given as an environment variable, which its help names.`,
		Example: `  jobrund exec --project default-project --job nightly-backup -- ./backup.sh
  jobrund token create --name ci
  jobrund serve`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().String("store", "sqlite:jobruns.db", "where runs and tokens are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	root.AddCommand(commands...)
	version.Add(root)
	root.InitDefaultCompletionCmd() // here, and not when it runs, so that it is prepared too
	prepare(root)
	return root
}

// prepare makes a command and those below it take their flags from the environment too, and tells wrong usage, which
// cobra finds before a command runs, from what goes wrong later.
func prepare(cmd *cobra.Command) {
	fromEnvironment := func(f *pflag.Flag) {
		if isSetting(f) {
			f.Usage += fmt.Sprintf(" [$%s]", variable(f))
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
		if err := setFromEnvironment(cmd); err != nil {
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
			return errors.Join(cmd.Help(), exitStatus(exitUsage))
		}
	}
	for _, sub := range cmd.Commands() {
		prepare(sub)
	}
}

// Arguments allows some arguments, each with the name that the command's usage gives it. The last may come again if
// it ends with "...".
func Arguments(required int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < required {
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		more := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		if len(args) > len(names) && !more {
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// isSetting reports whether a flag can be set in the environment.
func isSetting(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// variable is the environment variable of a flag.
func variable(f *pflag.Flag) string {
	return "JOBRUND_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

func setFromEnvironment(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(variable(f))
		if !ok || f.Changed || !isSetting(f) {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			errs = append(errs, Usagef("%s=%q: %w", variable(f), value, err))
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

// OpenStore opens the store that the command's flags name, with the engine that takes its URL.
func OpenStore(cmd *cobra.Command, engines ...store.Engine) (*store.Store, error) {
	return store.Open(cmd.Context(), storeURL(cmd), engines...)
}

func storeURL(cmd *cobra.Command) string {
	return cmd.Flag("store").Value.String()
}

// CheckID checks what a person typed for a flag against the contract.
func CheckID(flag, value string) error {
	if err := jobrun.CheckID(value); err != nil {
		return Usagef("--%s %q: %w", flag, value, err)
	}
	return nil
}
