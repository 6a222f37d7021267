package main

import (
	"context"
	"errors"
	"log"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/record/command"
	"github.com/jobruns/jobruns/server/store"
)

const (
	// claimLimit bounds how long the command waits for the store's word on a chosen id.
	claimLimit = 2 * time.Second
	// flushLimit bounds how long this program waits in the end for its messages to be read.
	// Together with the time for recording it is less than the 10 s that supervisors give.
	flushLimit = 800 * time.Millisecond
)

// record runs and records the command, and returns its exit status as an error. If quiet, it prints
// nothing unless something is wrong.
// Returns an error of wrong usage if the chosen id is taken; the command then did not run.
func record(cmd *cobra.Command, c *command.Command, quiet bool) error {
	say := newMessages(os.Stderr)
	defer say.flush(flushLimit)
	log.SetFlags(0)
	log.SetOutput(say)         // for the store's warnings
	var recorded jobrun.Record // the latest state
	r := &report{messages: say, quiet: quiet}
	recorder := command.NewRecorder(command.Options{
		Open: func(ctx context.Context) (command.Runs, error) {
			return cli.OpenStore(ctx, cmd, func(path string) {
				if !quiet {
					say.printf("recording in new store %s", path)
				}
			})
		},
		Claim:    c.ID != "",
		Hopeless: hopeless,
		Stored:   r.stored,
		Failed:   r.failed,
	})
	c.Warn = func(err error) { say.printf("%v", err) }
	c.Record = func(state jobrun.Record) {
		r.start(state.Run.ID)
		recorded = state
		recorder.Record(state)
	}
	if c.ID != "" {
		c.Claim = func(jobrun.Record) error {
			ctx, cancel := context.WithTimeout(context.Background(), claimLimit)
			defer cancel()
			if err := recorder.First(ctx); errors.Is(err, store.ErrExists) {
				return cli.Usagef("--run %q: %w", c.ID, err)
			}
			return nil // the command runs all the same
		}
	}
	c.Finish = func(ctx context.Context) {
		if err := recorder.Close(ctx); err != nil {
			r.lost(recorded, c.ID != "", err)
		}
	}
	status, err := c.Run()
	if err == nil && status != 0 {
		err = cli.ExitStatus(status)
	}
	return err
}

// hopeless reports whether the same state of a run will never be stored.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrUnusable) || errors.Is(err, store.ErrExists) || errors.Is(err, jobrun.ErrInvalid)
}
