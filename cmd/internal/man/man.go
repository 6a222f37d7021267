// Package man writes the manual pages of a program, and the scripts that complete its flags in a
// shell. The programs import it with the build tag man only, so that what it needs is in none of
// those that people use.
package man

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Main runs instead of a program, and does not return. It has two arguments: the folder for the
// manual pages, of which each command has one, and the folder for the completion scripts of bash,
// zsh and fish.
//
// The pages have the date that SOURCE_DATE_EPOCH says
// (https://reproducible-builds.org/specs/source-date-epoch/), or today's.
func Main(root *cobra.Command) {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run -tags man . MANUAL_FOLDER COMPLETION_FOLDER")
		os.Exit(2)
	}
	header := &doc.GenManHeader{Source: root.Name(), Manual: "jobruns"}
	root.DisableAutoGenTag = true
	completion := func(name string) string { return filepath.Join(os.Args[2], name) }
	if err := errors.Join(
		doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: os.Args[1], CommandSeparator: "-"}),
		root.GenBashCompletionFileV2(completion(root.Name()+".bash"), true),
		root.GenZshCompletionFile(completion("_"+root.Name())),
		root.GenFishCompletionFile(completion(root.Name()+".fish"), true),
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
