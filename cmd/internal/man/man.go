// Package man writes the manual pages of a program. The programs import it with the build tag man only, so that what it
// needs is in none of those that people use.
package man

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Main is the program instead of its own, with the folder for the pages, a page for each command, as its only argument.
// The pages have the date that SOURCE_DATE_EPOCH says (https://reproducible-builds.org/specs/source-date-epoch/), or
// today's.
func Main(root *cobra.Command) {
	header := &doc.GenManHeader{Source: root.Name(), Manual: "jobruns"}
	root.DisableAutoGenTag = true
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run -tags man . FOLDER")
		os.Exit(2)
	}
	if err := doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: os.Args[1], CommandSeparator: "-"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
