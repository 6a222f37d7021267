package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// newContext makes the command "northflank context".
func newContext() *cobra.Command {
	group := newGroup("context", "See and change where commands go by default", newContextList(), newContextUse())
	group.Aliases = []string{"contexts"}
	return group
}

func newContextList() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the contexts",
		Long:  "List the contexts of ~/.northflank/config.json, without their tokens. The current one has a star.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			t := table{headers: []string{"", "NAME", "HOST", "PROJECT", "JOB"}}
			for _, saved := range c.Contexts {
				star := ""
				if saved.Name == c.Current {
					star = "*"
				}
				t.rows = append(t.rows, []string{
					star, escape(saved.Name), escape(cmp.Or(saved.Host, defaultHost)),
					escape(cmp.Or(saved.Project, "-")), escape(cmp.Or(saved.Job, "-")),
				})
			}
			_, err = os.Stdout.WriteString(t.render(width(os.Stdout)))
			return err
		},
	}
}

func newContextUse() *cobra.Command {
	var name string
	use := &cobra.Command{
		Use:   "use",
		Short: "Choose the current context, or its project or job",
		Long: `Choose the current context, or the project or job that commands use where none is named. They are kept in
~/.northflank/config.json, which is the official command line's too. On a terminal, what is missing is asked for.`,
		Example: `  northflank context use --name local
  northflank context use project --id default-project
  northflank context use job --id example-job`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return useContext(cmd.Context(), name) },
	}
	use.Flags().StringVarP(&name, "name", "n", "", "`name` of the context")
	complete(use, "name", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := readConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, saved := range c.Contexts {
			names = append(names, saved.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	use.AddCommand(newContextUseID(needsProject), newContextUseID(needsJob))
	return use
}

// useContext makes the context of the name the current one.
func useContext(ctx context.Context, name string) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	if len(c.Contexts) == 0 {
		return errors.New("there is no context: northflank login makes one")
	}
	if name == "" {
		if !interactive() {
			return usagef("missing --name NAME: see northflank context ls")
		}
		var choices []choice
		for _, saved := range c.Contexts {
			choices = append(choices, choice{id: saved.Name})
		}
		if name, err = ask(ctx, "Which context?", choices); err != nil {
			return err
		}
	}
	if err := c.use(name, "", ""); err != nil {
		return err
	}
	_, err = fmt.Printf("Changed current context to %s\n", escape(name))
	return err
}

// newContextUseID makes the command that chooses the project, or the job, of the current context.
func newContextUseID(level int) *cobra.Command {
	r := request{server: connectionFlags{currentOnly: true}}
	thing, id := levels[level-1].thing, r.ids(level)[level-1]
	cmd := &cobra.Command{
		Use:     thing,
		Short:   "Choose the " + thing + " of the current context",
		Example: "  northflank context use " + thing + " --id example-" + thing,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVarP(id, "id", "i", "", "`ID` of the "+thing)
	complete(cmd, "id", r.completions(level))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *id == "" {
			if !interactive() {
				return usagef("missing --id ID: see %s", levels[level-1].lister)
			}
			if err := r.connect(level - 1); err != nil {
				return err
			}
			if err := r.choose(cmd.Context(), level); err != nil {
				return err
			}
		}
		c, err := readConfig()
		if err != nil {
			return err
		}
		if c.Current == "" {
			return errors.New("there is no current context: northflank login makes one")
		}
		if err := c.use(c.Current, thing, *id); err != nil {
			return err
		}
		_, err = fmt.Printf("Use %s with id: %s\n", thing, escape(*id))
		return err
	}
	return cmd
}
