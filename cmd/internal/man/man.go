// Package man writes the manual pages of a program, and the scripts that complete its flags in a
// shell. The programs import it with the build tag man only, so that what it needs is in none of
// those that people use.
package man

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

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
	date := time.Now()
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date = time.Unix(epoch, 0)
	}
	date = date.UTC()
	header := &doc.GenManHeader{Date: &date, Source: root.Name(), Manual: "jobruns"}
	root.DisableAutoGenTag = true
	completion := func(name string) string { return filepath.Join(os.Args[2], name) }
	if err := errors.Join(
		doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: os.Args[1], CommandSeparator: "-"}),
		tidy(filepath.Join(os.Args[1], root.Name()+"*.1"), date),
		root.GenBashCompletionFileV2(completion(root.Name()+".bash"), true),
		root.GenZshCompletionFile(completion("_"+root.Name())),
		root.GenFishCompletionFile(completion(root.Name()+".fish"), true),
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// option matches the paragraph of an option, whose description cobra begins with a tab.
var option = regexp.MustCompile(`(?m)^(?:\.PP\n)?(\\fB-.*)\n\t`)

// tidy completes the date of the pages, of which cobra writes the month and the year, and makes a list
// of their options: mandoc can parse neither.
func tidy(pages string, date time.Time) error {
	names, err := filepath.Glob(pages)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text = bytes.Replace(text, []byte(date.Format(`"Jan 2006"`)), []byte(date.Format(`"2006-01-02"`)), 1)
		text = option.ReplaceAll(text, []byte(".TP\n$1\n"))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
