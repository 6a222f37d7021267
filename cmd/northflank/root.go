package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/cmd/internal/version"
)

func newRoot() *cobra.Command {
	root := newGroup("northflank", "See how the runs of your jobs are doing", newLogin(), newContext(),
		newGroup("list", "List projects, jobs or runs", newListProjects(), newListJobs(), newListRuns()),
		newGroup("get", "Show something",
			newGroup("job", "Show something about a job", newGetJobRun(), newGetJobRuns(), newGetJobOutput())))
	root.Long = `See how the runs of your jobs are doing, at Northflank or wherever jobrund serves.

The exit status is 0 for success, 1 for an error and 2 for a wrong command line. "northflank get job run --wait" has more.`
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	version.Add(root)
	version.AddCommand(root)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		refuseAlone(completion)
	}
	return root
}

// newGroup makes a command that only has others.
func newGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: name, Short: short}
	group.AddCommand(commands...)
	refuseAlone(group)
	return group
}

// refuseAlone makes it wrong usage to give no subcommand, or one that does not exist: cobra would
// show the help and report success.
func refuseAlone(group *cobra.Command) {
	var names []string
	for _, c := range group.Commands() {
		names = append(names, c.Name())
	}
	group.Args = cobra.NoArgs
	group.RunE = func(cmd *cobra.Command, _ []string) error {
		return usagef("%s what? Commands: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	group.DisableFlagsInUseLine = true
}
