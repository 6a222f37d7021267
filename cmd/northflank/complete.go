package main

import (
	"context"
	"iter"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobruns/jobruns/client"
)

// completionTimeout bounds how long a shell waits for completions.
const completionTimeout = 3 * time.Second

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
		complete(cmd, "projectId", r.completions(needsNothing, r.projectCandidates))
	}
	if level >= needsJob {
		complete(cmd, "jobId", r.completions(needsProject, r.jobCandidates))
	}
	if level >= needsRun {
		complete(cmd, "runId", r.completions(needsJob, r.runCandidates))
	}
}

func (r *request) projectCandidates(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
	return candidates(r.projects(ctx, c), func(p client.Project) (string, string) { return p.ID, p.Name })
}

func (r *request) jobCandidates(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
	return candidates(r.jobs(ctx, c), func(job client.Job) (string, string) {
		if job.LatestRun == nil {
			return job.ID, job.Name
		}
		return job.ID, state(job.LatestRun, time.Now())
	})
}

func (r *request) runCandidates(ctx context.Context, c *client.Client) iter.Seq2[string, error] {
	return candidates(r.runs(ctx, c), func(run client.JobRun) (string, string) {
		return run.ID, state(&run, time.Now())
	})
}

// candidates are the IDs of items, each with a description. IDs that a shell or a terminal could
// take for something else are left out.
func candidates[T any](items iter.Seq2[T, error], describe func(T) (id, description string)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for item, err := range items {
			id, description := describe(item)
			if err == nil && !safeID.MatchString(id) {
				continue
			}
			if !yield(cobra.CompletionWithDesc(id, printable(description)), err) {
				return
			}
		}
	}
}

// safeID matches what the contract allows as an ID.
var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

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
		for candidate, err := range list(ctx, c) {
			if err != nil {
				break
			}
			if strings.HasPrefix(candidate, typed) {
				found = append(found, candidate)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
