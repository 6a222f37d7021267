package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/jsonlines"
	"github.com/jobruns/jobruns/server/store"
)

func newImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import [FILE|-]",
		Short: "Import runs from JSON Lines",
		Long: `Import runs from a file, or from standard input, of JSON Lines:

  {"teamId": "default", "projectId": "p", "jobId": "j", "run": {"id": "...", ...}}

with the eleven fields of a run, whose name must not have characters that a terminal
would act upon. An "outcome" may follow: why the run ended as it did, with the fields of
the operation getJobRunOutcome. A run without one has the reason Unknown. A field that
is null can be left out. All lines are checked against the contract before the first is
imported: if one is wrong, none is. A run that is in the store already is
replaced. The runs are stored in pieces, so that nobody who records waits for long. If
the import is interrupted meanwhile, import all again.`,
		Example: `  jobrund import runs.jsonl
  northflank get job runs --project p --job j --loadAll -o json --jq \
    '.runs[] | {projectId: "p", jobId: "j", run: del(.jobId, .reason, .message, .host)}' | jobrund import`,
		Args: cli.Arguments(0, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, name := io.Reader(os.Stdin), "standard input"
			if len(args) == 1 && args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				from, name = file, args[0]
			}
			document, err := contract.Load()
			if err != nil {
				return err
			}
			line, err := document.Object("the line", jsonlines.Required, jsonlines.Properties)
			if err != nil {
				return err
			}
			reader := jsonlines.NewReader(line.CheckJSON)
			// Each line is garbage as soon as it is stored, and little else is in memory: collect
			// it less often.
			debug.SetGCPercent(400)
			return withStore(cmd, true, func(s *store.Store) error {
				count := 0
				err := s.ImportRuns(cmd.Context(), counted(reader.Read(from), &count))
				if errors.Is(err, store.ErrPartly) {
					return fmt.Errorf("%s: import it again: %w", name, err)
				}
				if err != nil {
					return fmt.Errorf("nothing was imported: %s: %w", name, err)
				}
				fmt.Fprintf(os.Stderr, "jobrund: imported %s\n", countRuns(count))
				return nil
			})
		},
	}
}

// counted counts what the sequence yields.
func counted(records iter.Seq2[jobrun.Record, error], count *int) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) {
		for record, err := range records {
			*count++
			if !yield(record, err) {
				break
			}
		}
	}
}
