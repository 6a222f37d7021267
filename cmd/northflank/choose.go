package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"charm.land/huh/v2"
	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/client"
)

// What a person chooses from, or a shell completes, at the most: all of it takes some requests.
const (
	mostChoices = 1000 // projects or jobs
	mostRuns    = 100
)

// choose has the person at the terminal choose what is missing down to a level. Where there is no
// terminal, it returns a usage error that says what is missing.
func (r *request) choose(ctx context.Context, c *client.Client, conn connection, level int) error {
	missing := r.missing(level)
	if missing == nil {
		return nil
	}
	if !interactive() {
		return missing
	}
	for i, id := range []*string{&r.ref.Project, &r.ref.Job, &r.ref.Run}[:level] {
		if *id != "" {
			continue
		}
		what := []string{"project", "job", "run"}[i]
		choices, err := r.choices(ctx, c, i)
		if err != nil {
			return explainRef(err, nil, conn, r.ref)
		}
		if len(choices) == 0 {
			return fmt.Errorf("%s has no %s to choose from", conn.host, what)
		}
		if *id, err = ask(ctx, "Which "+what+unknown, choices); err != nil {
			return err
		}
	}
	var chosen []string
	for i, id := range []string{r.ref.Project, r.ref.Job, r.ref.Run}[:level] {
		chosen = append(chosen, levels[i].flag+"="+id)
	}
	fmt.Fprintf(os.Stderr, "=> running command with: %s\n", printable(strings.Join(chosen, ", ")))
	return nil
}

// interactive reports whether a person can be asked, on standard error: standard output may go to a
// file.
func interactive() bool {
	return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// choices are the projects, the jobs of the project or the runs of the job, by the index of levels.
func (r *request) choices(ctx context.Context, c *client.Client, level int) ([]huh.Option[string], error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	now := time.Now()
	switch level {
	case 0:
		return options(r.projects(ctx, c), func(p client.Project) huh.Option[string] {
			return option(p.ID, named(p.ID, p.Name))
		})
	case 1:
		return options(r.jobs(ctx, c), func(job client.Job) huh.Option[string] {
			label := named(job.ID, job.Name)
			if job.LatestRun != nil {
				label += ", " + state(job.LatestRun, now)
			}
			return option(job.ID, label)
		})
	}
	return options(r.runs(ctx, c), func(run client.JobRun) huh.Option[string] {
		return option(run.ID, state(&run, now)+", "+run.ID)
	})
}

// projects are the first mostChoices of the team.
func (r *request) projects(ctx context.Context, c *client.Client) iter.Seq2[client.Project, error] {
	return first(mostChoices, c.Projects(ctx, r.ref.Team, client.ListOptions{}))
}

// jobs are the first mostChoices of the project.
func (r *request) jobs(ctx context.Context, c *client.Client) iter.Seq2[client.Job, error] {
	return first(mostChoices, c.Jobs(ctx, r.project(), client.ListJobsOptions{}))
}

// runs are the newest of the job, as many as come in one page.
func (r *request) runs(ctx context.Context, c *client.Client) iter.Seq2[client.JobRun, error] {
	return first(mostRuns, c.JobRuns(ctx, r.job(), client.ListJobRunsOptions{}))
}

// first returns the first n items.
func first[T any](n int, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for item, err := range items {
			if left--; !yield(item, err) || left == 0 {
				return
			}
		}
	}
}

// options makes an option of each item.
func options[T any](items iter.Seq2[T, error], option func(T) huh.Option[string]) ([]huh.Option[string], error) {
	var all []huh.Option[string]
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		all = append(all, option(item))
	}
	return all, nil
}

func option(id, label string) huh.Option[string] { return huh.NewOption(printable(label), id) }

// named returns the ID, and the name if that is another.
func named(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

// age says how long ago a time is, or unknown of the zero one.
func age(at, now time.Time) string {
	if at.IsZero() {
		return unknown
	}
	return humanize.RelTime(at, now, "ago", "from now")
}

// state says in some words how a run is doing.
func state(run *client.JobRun, now time.Time) string {
	return fmt.Sprintf(
		"%s, %s, %s",
		run.Status,
		age(run.StartedAt, now),
		took(run, now),
	)
}

// ask returns the value of the option that the person chooses.
func ask(ctx context.Context, question string, choices []huh.Option[string]) (chosen string, err error) {
	const mostLines = 12 // with that of the filter
	choice := huh.NewSelect[string]().Title("Press / to filter.").Options(choices...).Filtering(true).
		Height(min(mostLines, len(choices)+1)).Value(&chosen)
	form := huh.NewForm(
		huh.NewGroup(choice).Title(question).Description("Arrow keys move, typing filters, Enter chooses."),
	).
		WithShowHelp(
			false,
		).WithInput(
		os.Stdin,
	).WithOutput(
		os.Stderr,
	)
	err = form.RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) || err == nil && form.State != huh.StateCompleted { // by a signal
		return "", &outcome{status: exitInterrupted}
	}
	return chosen, err
}
