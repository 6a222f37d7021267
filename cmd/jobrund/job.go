package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jobruns/jobruns/cmd/internal/cli"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func newJob() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "job",
		Short: "List, remove and rename jobs",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newJobList(), newJobRemove(), newJobRename())
	return cmd
}

// keyFlags defines the flags that name a job.
func keyFlags(cmd *cobra.Command) *jobrun.Key {
	key := &jobrun.Key{}
	cmd.Flags().StringVar(&key.Team, "team", jobrun.DefaultTeam, "team of the project")
	cmd.Flags().StringVar(&key.Project, "project", "", "project of the job")
	cmd.Flags().StringVar(&key.Job, "job", "", "job")
	return key
}

// checkKey checks the parts of the key that are given. An empty value, such as a shell makes of a
// variable that is not set, must not come to mean everything.
func checkKey(cmd *cobra.Command, key *jobrun.Key) error {
	for _, part := range [][2]string{{"team", key.Team}, {"project", key.Project}, {"job", key.Job}} {
		if cmd.Flags().Changed(part[0]) {
			if err := cli.CheckID(part[0], part[1]); err != nil {
				return err
			}
			if key.Project == "" {
				return cli.Usagef("--%s: give --project too", part[0])
			}
		}
	}
	return nil
}

func newJobList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the jobs of all teams, and how each is doing",
		Args:  cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, false, func(s *store.Store) error {
				states, _, err := s.JobStates(cmd.Context(), math.MaxInt32)
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "TEAM\tPROJECT\tJOB\tTYPE\tLATEST RUN\tSTATUS\tSTARTED\tFAILURES IN A ROW")
				for _, s := range states {
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.Team, s.Project, s.Job, s.Type, s.Latest.ID,
						s.Latest.Status, s.Latest.StartedAt.Format(time.RFC3339), s.FailuresInARow)
				}
				return table.Flush()
			})
		},
	}
}

func newJobRemove() *cobra.Command {
	var key *jobrun.Key
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove --project PROJECT --job JOB",
		Short: "Remove a job with all its runs",
		Long: `Remove a job with all its runs. On a terminal, the command asks first. A job with a run
that has not concluded stays. With SQLite, recorders wait meanwhile: about a second for
100,000 runs. After ten seconds, jobrun keeps its reports and delivers them later.

jobrund watch records the job again while Jobs of it exist in the cluster.`,
		Example: "  jobrund job remove --project default-project --job old-backup",
		Args:    cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changeJob(cmd, key, yes, "remove", func(s *store.Store) error {
				removed, err := s.RemoveJob(cmd.Context(), *key)
				if err == nil {
					fmt.Fprintf(os.Stderr, "jobrund: removed the job %s and %s\n", key.Job, countRuns(removed))
				}
				return err
			})
		},
	}
	key = keyFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cli.Require(cmd, "project", "job")
	return cmd
}

func newJobRename() *cobra.Command {
	var key *jobrun.Key
	var yes bool
	var to string
	cmd := &cobra.Command{
		Use:   "rename --project PROJECT --job JOB --to JOB",
		Short: "Give a job another ID, with all its runs",
		Long: `Give a job another ID, with all its runs. On a terminal, the command asks first. A job with
a run that has not concluded keeps its ID. With SQLite, recorders wait meanwhile: about
two seconds for 100,000 runs. After ten seconds, jobrun keeps its reports and delivers
them later.

jobrund watch records the old ID again while Jobs of it exist in the cluster.`,
		Example: "  jobrund job rename --project default-project --job backup --to nightly-backup",
		Args:    cli.Arguments(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.CheckID("to", to); err != nil {
				return err
			}
			return changeJob(cmd, key, yes, "rename to "+to, func(s *store.Store) error {
				err := s.RenameJob(cmd.Context(), *key, to)
				if errors.Is(err, store.ErrExists) {
					return fmt.Errorf("--to %s: there is a job of this ID already: choose another ID, or remove that job", to)
				}
				if err == nil {
					fmt.Fprintf(os.Stderr, "jobrund: renamed the job %s to %s\n", key.Job, to)
				}
				return err
			})
		},
	}
	key = keyFlags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "the new ID (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cli.Require(cmd, "project", "job", "to")
	return cmd
}

// changeJob changes a job, after it has asked on a terminal unless yes says not to. what says in words
// what the change does.
func changeJob(cmd *cobra.Command, key *jobrun.Key, yes bool, what string, change func(*store.Store) error) error {
	if err := checkKey(cmd, key); err != nil {
		return err
	}
	err := withStore(cmd, false, func(s *store.Store) error {
		runs, err := s.CountRuns(cmd.Context(), *key)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "jobrund: %s: job %s of project %s, team %s, with %s\n", what, key.Job, key.Project, key.Team,
			countRuns(runs))
		if !yes && term.IsTerminal(int(os.Stdin.Fd())) {
			fmt.Fprint(os.Stderr, "Continue? [y/N] ")
			var answer string
			_, _ = fmt.Scanln(&answer) // no answer is no
			if !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
				return errors.New("nothing was changed")
			}
		}
		return change(s)
	})
	switch {
	case errors.Is(err, jobrun.ErrNotFound):
		return fmt.Errorf("there is no job %q in the project %q of the team %q: see jobrund job list",
			key.Job, key.Project, key.Team)
	case errors.Is(err, store.ErrOpen):
		return fmt.Errorf("job %q: %w: try again when it has", key.Job, err)
	case err == nil:
		fmt.Fprintf(os.Stderr, "jobrund: a jobrund watch records %s again while Jobs of it exist\n", key.Job)
	}
	return err
}
