// Package version says which build of a program is running.
package version

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// Add gives a program the flag --version. The text is put together only if it is asked for: that
// takes a millisecond, which is much for a program that is started often.
func Add(root *cobra.Command) {
	root.Flags().VarPF(&flag{root: root}, "version", "v", "version for "+root.Name()).NoOptDefVal = "true"
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

// flag is a boolean flag that gives its program a version when it is set, which has cobra print it.
type flag struct {
	root *cobra.Command
	set  bool
}

func (f *flag) String() string { return strconv.FormatBool(f.set) }
func (f *flag) Type() string   { return "bool" }

func (f *flag) Set(value string) error {
	set, err := strconv.ParseBool(value)
	if err != nil {
		return err
	}
	if f.set = set; set {
		f.root.Version = Text()
	}
	return nil
}

// Text is the version, then a line each for the commit and its date, as far as they are known, and
// for Go. A build of anything but a tagged commit says that it is for development.
func Text() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return text(info)
}

// The go command makes up a version for a commit without a tag
// (https://go.dev/ref/mod#pseudo-versions), and says of changes that are not committed.
var untagged = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[.-][0-9]{14}-[0-9a-f]{12}(\+|$)|\+dirty$`)
})

// Short is the version, which is the tag of the commit that was built, or says that it is for
// development.
func Short() string {
	short, _, _ := strings.Cut(Text(), "\n")
	return short
}

func text(info *debug.BuildInfo) string {
	var b strings.Builder
	switch version := info.Main.Version; {
	case version == "" || version == "(devel)":
		b.WriteString("unknown, built for development")
	case untagged().MatchString(version):
		b.WriteString(version + ", built for development")
	default:
		b.WriteString(version)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" {
		if settings["vcs.modified"] == "true" {
			commit += ", with changes"
		}
		fmt.Fprintf(&b, "\ncommit %s\ndate   %s", commit, settings["vcs.time"])
	}
	fmt.Fprintf(&b, "\ngo     %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return b.String()
}
