package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"
	"strings"
	"time"

	"charm.land/huh/v2"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/client"
)

const (
	// mostChoices caps how many projects or jobs a person chooses from, or a shell completes.
	mostChoices = 1000
	// mostRuns is the same for runs: one page.
	mostRuns = 100
	// completionTimeout bounds how long a shell waits for completions.
	completionTimeout = 3 * time.Second
)

// choice is an ID, and what a person wants to know before choosing it.
type choice struct{ id, about string }

// choices returns the projects, the jobs of the project or the runs of the job. With an error, it
// returns the choices from before the error.
func (r *request) choices(ctx context.Context, level int) ([]choice, error) {
	now := time.Now()
	state := func(run *client.JobRun) string {
		started := unknown
		if !run.StartedAt.IsZero() {
			started = humanize.RelTime(run.StartedAt, now, "ago", "from now")
		}
		return fmt.Sprintf("%s, %s, %s", run.Status, started, took(run, now))
	}
	switch level {
	case needsProject:
		projects := r.client.Projects(ctx, r.ref.Team, client.ListOptions{})
		return collect(mostChoices, projects, func(p client.Project) choice { return choice{p.ID, p.Name} })
	case needsJob:
		jobs := r.client.Jobs(ctx, r.project(), client.ListJobsOptions{LatestRun: true})
		return collect(mostChoices, jobs, func(job client.Job) choice {
			if job.LatestRun == nil {
				return choice{job.ID, job.Name}
			}
			return choice{job.ID, state(job.LatestRun)}
		})
	}
	runs := r.client.JobRuns(ctx, r.job(), client.ListJobRunsOptions{})
	return collect(mostRuns, runs, func(run client.JobRun) choice { return choice{run.ID, state(&run)} })
}

// collect returns the first items as choices.
func collect[T any](most int, items iter.Seq2[T, error], choiceOf func(T) choice) (found []choice, err error) {
	for item, err := range items {
		if err != nil {
			return found, err
		}
		if found = append(found, choiceOf(item)); len(found) == most {
			break
		}
	}
	return found, nil
}

// choose asks the person at the terminal for the IDs that are missing down to a level. Without a
// terminal, it returns a usage error that names them.
func (r *request) choose(ctx context.Context, level int) error {
	missing := r.missing(level)
	if missing == nil {
		return nil
	}
	if !interactive() {
		return missing
	}
	var chosen []string
	for i, id := range r.ids(level) {
		if *id == "" {
			asking, cancel := context.WithTimeout(ctx, timeout)
			choices, err := r.choices(asking, i+1)
			cancel()
			if err != nil {
				return r.userError(err, nil)
			}
			if len(choices) == 0 {
				return fmt.Errorf("%s has no %s to choose from", r.conn.host, levels[i].thing)
			}
			if *id, err = ask(ctx, "Which "+levels[i].thing+"?", choices); err != nil {
				return err
			}
		}
		chosen = append(chosen, levels[i].flag+"="+*id)
	}
	fmt.Fprintf(os.Stderr, "=> running command with: %s\n", escape(strings.Join(chosen, ", ")))
	return nil
}

// interactive reports whether the program can ask a person. It asks on standard error, because
// standard output may go to a file. A terminal without a size would show nothing.
func interactive() bool {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdin.Fd())) && err == nil && columns > 0 && rows > 0
}

// ask returns the ID that the person chooses.
func ask(ctx context.Context, question string, choices []choice) (chosen string, err error) {
	var options []huh.Option[string]
	for _, c := range choices {
		label := c.id
		if c.about != "" && c.about != c.id {
			label += " (" + c.about + ")"
		}
		options = append(options, huh.NewOption(escape(label), c.id))
	}
	const mostLines = 12 // with the line of the filter
	choice := huh.NewSelect[string]().Title("Press / to filter.").Options(options...).Filtering(true).
		Height(min(mostLines, len(options)+1)).Value(&chosen)
	group := huh.NewGroup(choice).Title(question).Description("Arrow keys move, typing filters, Enter chooses.")
	form := huh.NewForm(group).WithShowHelp(false).WithInput(os.Stdin).WithOutput(os.Stderr)
	err = form.RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) || err == nil && form.State != huh.StateCompleted { // by a signal
		return "", &exitStatus{status: exitInterrupted}
	}
	return chosen, err
}

// complete registers the completions of a flag.
func complete(cmd *cobra.Command, flag string, completions cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, completions); err != nil {
		panic(err) // there is no such flag, or it has completions already
	}
}

// safeID matches the IDs that the contract allows. A shell could take others for something else.
var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// completions completes an ID with those that the server has. It says nothing about errors.
func (r *request) completions(level int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if r.connect(level-1, client.WithMaxRetries(0)) != nil || r.missing(level-1) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		choices, _ := r.choices(ctx, level) // some are better than none
		var found []cobra.Completion
		for _, c := range choices {
			if strings.HasPrefix(c.id, typed) && safeID.MatchString(c.id) {
				found = append(found, cobra.CompletionWithDesc(c.id, escape(c.about)))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
