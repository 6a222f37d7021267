// Command jobrund-server is jobrund with all of its commands. The program jobrund hands over to it, but for exec.
package main

import (
	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/jobrund"
)

func main() { jobrund.Main(commands()...) }

func commands() []*cobra.Command {
	return []*cobra.Command{newServe(), jobrund.NewExec(), newWatch(), newImport(), newPrune(), newToken()}
}
