// Package version says which build of a program is running.
package version

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Add gives a program the flag --version, which prints the version and ends the program. Finding out
// the version takes a millisecond, so a program that runs often must not do it at each start.
func Add(root *cobra.Command) {
	root.Flags().BoolFuncP("version", "v", "version for "+root.Name(), func(string) error {
		if _, err := fmt.Printf("%s version %s\n", root.Name(), Text()); err != nil {
			return err
		}
		os.Exit(0)
		return nil
	})
}

// AddCommand gives a program the command version, which prints what --version prints.
func AddCommand(root *cobra.Command) {
	root.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and its date, and the version of Go",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", root.Name(), Text())
			return err
		},
	})
}

// Text is the version, then lines for the commit and its date, if they are known, and for Go.
func Text() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	text := cmp.Or(info.Main.Version, "unknown")
	if commit := settings["vcs.revision"]; commit != "" {
		if settings["vcs.modified"] == "true" {
			commit += ", with changes"
		}
		text += fmt.Sprintf("\ncommit %s\ndate   %s", commit, settings["vcs.time"])
	}
	return text + fmt.Sprintf("\ngo     %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Short is the first line of Text.
func Short() string {
	short, _, _ := strings.Cut(Text(), "\n")
	return short
}
