// Command jobrund-server is jobrund with all of its commands and stores. The program jobrund hands over to it, but for exec
// with a store in SQLite.
package main

import (
	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/jobrund"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

func main() { jobrund.Main(commands()...) }

func commands() []*cobra.Command {
	return []*cobra.Command{newServe(), jobrund.NewExec(nil, sqlite.Engine, postgres.Engine), newWatch(), newImport(), newPrune(), newToken()}
}

// openStore opens the store that the command's flags name.
func openStore(cmd *cobra.Command) (*store.Store, error) {
	return jobrund.OpenStore(cmd, sqlite.Engine, postgres.Engine)
}
