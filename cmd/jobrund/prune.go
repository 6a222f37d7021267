package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// pruneInterval is how often serve removes what is older than its --retain.
const pruneInterval = time.Hour

func newPrune() *cobra.Command {
	var age time.Duration
	var keep int
	var of *jobrun.Key
	cmd := &cobra.Command{
		Use:   "prune --older-than DURATION",
		Short: "Remove runs that concluded long ago",
		Long: `Remove the runs that concluded longer ago than the duration, and print on standard
error how many those were. A run that has not concluded stays, however long it has
been running. A run whose recorder died concluded when that was last heard of.

The latest run, the latest success and the latest failure of a job stay, so that its
state does not change. If all runs of a job concluded longer ago than the duration, the
job goes with its runs.

Servers and recorders go on meanwhile, and servers forget within a second what they
keep in memory of a run. Later runs take the space: a SQLite file does
not get smaller, and needs no VACUUM to be used again.

A Job that is still in its cluster is recorded again by jobrund watch, and removed by
the next prune.`,
		Example: `  jobrund prune --older-than 90d
  jobrund prune --older-than 7d --keep-last 10 --project default-project --job example-job`,
		Args: cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if age == 0 {
				return cli.Usagef("--older-than 0: must be positive")
			}
			if err := errors.Join(checkKey(cmd, of), checkKeep(keep)); err != nil {
				return err
			}
			return withStore(cmd, false, func(s *store.Store) error {
				removed, err := s.Prune(cmd.Context(), store.Pruning{Before: time.Now().Add(-age), Keep: keep, Of: *of})
				if err != nil {
					return fmt.Errorf("removed %s, and then: %w", countRuns(removed), err)
				}
				fmt.Fprintf(os.Stderr, "jobrund: removed %s\n", countRuns(removed))
				return nil
			})
		},
	}
	cmd.Flags().Var(
		(*duration.Value)(&age),
		"older-than",
		"how long ago they concluded at least, such as 90d or 12h (required)",
	)
	keepFlag(cmd, &keep)
	of = keyFlags(cmd)
	cli.Require(cmd, "older-than")
	return cmd
}

// keepFlag defines the flag --keep-last.
func keepFlag(cmd *cobra.Command, keep *int) {
	cmd.Flags().IntVar(keep, "keep-last", 1, "how many runs of each job to keep, those that started last, unless the job goes as a whole")
}

// checkKeep checks the value of --keep-last.
func checkKeep(keep int) error {
	if keep < 1 {
		return cli.Usagef("--keep-last %d: must be at least 1", keep)
	}
	return nil
}

// countRuns returns a number of runs in words.
func countRuns[T int | int64](n T) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

// retain removes the runs that concluded longer ago than the age, now and every so often, until the
// context ends. Several servers may do so in the same store.
func retain(ctx context.Context, s *store.Store, age time.Duration, keep int, log *slog.Logger) {
	ticker := time.NewTicker(pruneInterval)
	defer ticker.Stop()
	for {
		removed, err := s.Prune(ctx, store.Pruning{Before: time.Now().Add(-age), Keep: keep})
		if err == nil || ctx.Err() != nil {
			log.Info("removed old runs", "removed", removed)
		} else {
			log.Error("old runs could not be removed, trying again later", "removed", removed, "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
