package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"charm.land/huh/v2"
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
			t, err := c.table()
			if err != nil {
				return err
			}
			_, err = os.Stdout.WriteString(t.render(width(os.Stdout)))
			return err
		},
	}
}

func (c *config) table() (table, error) {
	t := table{headers: []string{"", "NAME", "HOST", "PROJECT", "JOB"}}
	current, err := c.current()
	if err != nil && !errors.Is(err, errNoContext) {
		return t, err
	}
	for _, raw := range c.contexts {
		var saved savedContext
		if json.Unmarshal(raw, &saved) != nil {
			continue // it cannot be used either
		}
		star := ""
		if current != nil && current.Name == saved.Name {
			star = "*"
		}
		t.rows = append(t.rows, []string{
			star, printable(saved.Name), printable(cmp.Or(saved.Host, defaultHost)),
			printable(cmp.Or(saved.Project, "-")), printable(cmp.Or(saved.Job, "-")),
		})
	}
	return t, nil
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
		return c.names(), cobra.ShellCompDirectiveNoFileComp
	})
	use.AddCommand(newContextUseID("project", needsProject), newContextUseID("job", needsJob))
	return use
}

// useContext makes the context of the name the current one.
func useContext(ctx context.Context, name string) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	if len(c.contexts) == 0 {
		return errors.New("there is no context: northflank login makes one")
	}
	if name == "" {
		if !interactive() {
			return usagef("missing --name NAME: see northflank context ls")
		}
		var choices []huh.Option[string]
		for _, name := range c.names() {
			choices = append(choices, option(name, name))
		}
		if name, err = ask(ctx, "Which context?", choices); err != nil {
			return err
		}
	}
	if err := c.use(name); err != nil {
		return err
	}
	_, err = fmt.Printf("Changed current context to %s\n", printable(name))
	return err
}

// newContextUseID makes the command that chooses the project, or the job, of the current context.
func newContextUseID(what string, level int) *cobra.Command {
	var id string
	var r request
	cmd := &cobra.Command{
		Use:     what,
		Short:   "Choose the " + what + " of the current context",
		Example: "  northflank context use " + what + " --id example-" + what,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVarP(&id, "id", "i", "", "`ID` of the "+what)
	complete(
		cmd,
		"id",
		func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			current, err := currentContext()
			if err != nil || current == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			r.server.host, r.server.token = cmp.Or(current.Host, defaultHost), current.Token
			candidates := r.projectCandidates
			if level == needsJob {
				candidates = r.jobCandidates
			}
			return r.completions(level-1, candidates)(cmd, args, typed)
		},
	)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		current, err := currentContext()
		if err != nil {
			return err
		}
		if current == nil {
			return errors.New("there is no current context: northflank login makes one")
		}
		if id == "" {
			if id, err = r.chooseFor(cmd.Context(), *current, level); err != nil {
				return err
			}
		}
		c, err := readConfig() // again: the questions may have taken a while
		if err != nil {
			return err
		}
		if err := c.set(current.Name, what, id); err != nil {
			return err
		}
		_, err = fmt.Printf("Use %s with id: %s\n", what, printable(id))
		return err
	}
	return cmd
}

// chooseFor has the person choose a project, or a job of the context's project.
func (r *request) chooseFor(ctx context.Context, saved savedContext, level int) (string, error) {
	if !interactive() {
		return "", usagef("missing --id ID: see %s", levels[level-1].lister)
	}
	name := fmt.Sprintf("context %q", saved.Name)
	conn := connection{
		host: normalizeHost(cmp.Or(saved.Host, defaultHost)), hostFrom: name,
		token: trimToken(saved.Token), tokenFrom: name, caCert: r.server.authorities(),
	}
	c, err := conn.client()
	if err != nil {
		return "", err
	}
	if level == needsJob {
		r.ref.Project = saved.Project
	}
	if err := r.choose(ctx, c, conn, level); err != nil {
		return "", err
	}
	if level == needsProject {
		return r.ref.Project, nil
	}
	return r.ref.Job, nil
}
