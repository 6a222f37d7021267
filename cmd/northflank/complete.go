package main

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

const (
	// completionTimeout bounds how long a shell waits for completions.
	completionTimeout = 3 * time.Second
	// mostCompletions bounds how many IDs are looked at. Of runs, they are the newest.
	mostCompletions = 1000
)

// complete registers the completions of a flag.
func complete(cmd *cobra.Command, flag string, completions cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, completions); err != nil {
		panic(err) // there is no such flag, or it has completions already
	}
}

// addCompletions has the shell offer what the server has, and say nothing if that cannot be asked.
func (r *request) addCompletions(cmd *cobra.Command, level int) {
	complete(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	if level >= needsProject {
		complete(cmd, "projectId", r.completions(needsNothing, func(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
			return candidates(c.Projects(ctx, r.ref.Team, client.ListOptions{}), func(p client.Project) (string, string) {
				return p.ID, p.Name
			})
		}))
	}
	if level >= needsJob {
		complete(cmd, "jobId", r.completions(needsProject, func(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
			return candidates(c.Jobs(ctx, r.project(), client.ListJobsOptions{}), func(job client.Job) (string, string) {
				if job.LatestRun == nil {
					return job.ID, job.Name
				}
				return job.ID, state(job.LatestRun, time.Now())
			})
		}))
	}
	if level >= needsRun {
		complete(cmd, "runId", r.completions(needsJob, func(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
			return candidates(c.JobRuns(ctx, r.job(), client.ListJobRunsOptions{}), func(run client.JobRun) (string, string) {
				return run.ID, state(&run, time.Now())
			})
		}))
	}
}

// candidates are the IDs of items, each with a description. IDs that a shell or a terminal could
// take for something else are left out.
func candidates[T any](items iter.Seq2[T, error], describe func(T) (id, description string)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for item, err := range items {
			id, description := describe(item)
			if err == nil && strings.IndexFunc(id, isUnsafe) >= 0 {
				continue
			}
			if !yield(cobra.CompletionWithDesc(id, printable(description)), err) {
				return
			}
		}
	}
}

// isUnsafe reports whether a character is none of those that the contract allows in an ID.
func isUnsafe(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
}

// completions returns those that begin with what has been typed, unless what the list is about is
// missing down to a level.
func (r *request) completions(
	level int,
	list func(context.Context, *client.Client) iter.Seq2[string, error],
) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		_, conn, err := r.open()
		if err != nil || r.missing(level) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := conn.client(client.WithMaxRetries(0))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		var found []cobra.Completion
		seen := 0
		for candidate, err := range list(ctx, c) {
			if seen++; err != nil || seen > mostCompletions {
				break
			}
			if strings.HasPrefix(candidate, typed) {
				found = append(found, candidate)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
