// Command jobrund serves the API of the runs of jobs, records those of a cluster, and looks after
// the store.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/cmd/internal/version"
	"github.com/jobruns/jobruns/server/store"
)

func main() { cli.Main(newRoot()) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "jobrund",
		Short: "Serve the API of the runs of jobs, and look after their store",
		Long: `jobrund serves the "get run details" endpoint of the Northflank API from a store of
runs. It records the Jobs of a Kubernetes cluster, imports and removes runs, and
manages the tokens of the API. The program jobrun records a command.

Every flag can also be given as an environment variable, which its help names.`,
		Example: `  jobrund token create --name ci
  jobrund serve`,
		Args: cobra.NoArgs,
	}
	root.PersistentFlags().String(storeFlag, defaultStore, storeUsage)
	root.AddCommand(newServe(), newWatch(), newImport(), newPrune(), newJob(), newToken())
	version.Add(root)
	version.AddCommand(root)
	root.InitDefaultCompletionCmd() // so that it is prepared too
	cli.Prepare(root, func(flag string) []string { return []string{cli.Variable("jobrund", flag)} })
	return root
}

// untilMoved returns a context that ends with ctx, or within a second after the store's file was
// moved, removed or replaced: then its cause wraps store.ErrUnusable.
func untilMoved(ctx context.Context, s *store.Store) context.Context {
	ctx, end := context.WithCancelCause(ctx)
	go func() {
		for ticks := time.Tick(time.Second); ctx.Err() == nil; {
			select {
			case <-ticks:
				if err := s.Check(); err != nil {
					end(err)
				}
			case <-ctx.Done():
			}
		}
	}()
	return ctx
}

// movedError returns the reason if a context of untilMoved has ended because of the store's file.
func movedError(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, store.ErrUnusable) {
		return err
	}
	return nil
}
