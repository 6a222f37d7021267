package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/duration"
)

// aliases are other names for flags, as the official command line has them.
var aliases = map[string]pflag.NormalizedName{
	"project": "projectId", "job": "jobId", "run": "runId", "team": "teamId",
}

// request is what the commands have in common that ask a server.
type request struct {
	server connectionFlags
	ref    client.RunRef
	output string
	jq     string     // an expression, or ""
	code   *gojq.Code // of it; nil for none
}

// The levels of what a request is about: each needs those before it.
const (
	needsNothing = iota
	needsProject
	needsJob
	needsRun
)

// levels are the flags that name what a request is about, in their order, and the commands that
// list what there is.
var levels = []struct{ flag, lister string }{
	{"projectId", "northflank list projects"}, {"jobId", "northflank list jobs"}, {"runId", "northflank get job runs"},
}

// addFlags adds those of the server, of what the request is about, down to level, and of the output.
func (r *request) addFlags(cmd *cobra.Command, level int) {
	flags := cmd.Flags()
	flags.SortFlags = false
	if level >= needsProject {
		flags.StringVar(&r.ref.Project, "projectId", "", "`ID` of the project (or --project)")
	}
	if level >= needsJob {
		flags.StringVar(&r.ref.Job, "jobId", "", "`ID` of the job (or --job)")
	}
	if level >= needsRun {
		flags.StringVar(&r.ref.Run, "runId", "", "`ID` of the job run (or --run)")
	}
	flags.StringVar(&r.ref.Team, "teamId", "", "`ID` of the team, if not the token's own (or --team)")
	flags.StringVarP(&r.output, "output", "o", "", "`format`, json or yaml; for people if left out")
	flags.StringVarP(&r.jq, "jq", "q", "", "`expression` of jq for what to print of the JSON; with -o json")
	r.server.add(cmd, "API `token`")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if full, ok := aliases[name]; ok {
			return full
		}
		return pflag.NormalizedName(name)
	})
	r.addCompletions(cmd, level)
}

// open makes a client, and fills in what the context has of what the request is about.
func (r *request) open() (*client.Client, connection, error) {
	if !isFormat(r.output) {
		return nil, connection{}, usagef("unknown output format %q: json and yaml are allowed", r.output)
	}
	if r.jq != "" {
		if r.output != "json" {
			return nil, connection{}, usagef("--jq goes with -o json")
		}
		var err error
		if r.code, err = compileJQ(r.jq); err != nil {
			return nil, connection{}, err
		}
	}
	conn, err := r.server.resolve()
	if err != nil {
		return nil, conn, err
	}
	if r.ref.Project == "" {
		r.ref.Project = conn.context.Project
	}
	if r.ref.Job == "" {
		r.ref.Job = conn.context.Job
	}
	c, err := conn.client()
	return c, conn, err
}

// missing names the flags that are missing down to a level, and the commands that list what there
// is. It is nil if none is.
func (r *request) missing(level int) error {
	var flags, listers []string
	for i, id := range []string{r.ref.Project, r.ref.Job, r.ref.Run}[:level] {
		if id == "" {
			flags = append(flags, "--"+levels[i].flag+" ID")
			listers = append(listers, levels[i].lister)
		}
	}
	if flags == nil {
		return nil
	}
	return usagef("missing %s: see %s", strings.Join(flags, " "), strings.Join(listers, ", "))
}

// describe names what a request is about in a sentence.
func describe(ref client.RunRef) string {
	var what string
	switch {
	case ref.Run != "":
		what = fmt.Sprintf("run %q of job %q in project %q", ref.Run, ref.Job, ref.Project)
	case ref.Job != "":
		what = fmt.Sprintf("job %q in project %q", ref.Job, ref.Project)
	case ref.Project != "":
		what = fmt.Sprintf("project %q", ref.Project)
	default:
		what = "project"
	}
	if ref.Team != "" {
		what += fmt.Sprintf(" of team %q", ref.Team)
	}
	return what
}

// explainRef says in the user's terms why there is nothing to show. The response is nil if there was
// none.
func explainRef(err error, resp *client.Response, conn connection, ref client.RunRef) error {
	switch {
	case errors.Is(err, client.ErrNotFound):
		return explained(err, conn, "%s has no %s", conn.host, describe(ref))
	case errors.Is(err, client.ErrForbidden):
		return explained(err, conn, "%s does not let the token of %s see %s", conn.host, conn.tokenFrom, describe(ref))
	case errors.Is(err, context.DeadlineExceeded) && ref.Project != "":
		err = fmt.Errorf("waiting for %s: %w", describe(ref), err)
	}
	return explain(err, resp, conn)
}

// when is a flag's value: a time (RFC 3339), or a duration before now, in which days are allowed,
// such as 7d.
type when struct{ at time.Time }

// String returns the time as RFC 3339, or nothing for the zero value.
func (w *when) String() string {
	if w.at.IsZero() {
		return ""
	}
	return w.at.Format(time.RFC3339)
}

// Set reads the value.
func (w *when) Set(s string) error {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		w.at = at
		return nil
	}
	ago, err := duration.Parse(s)
	if err != nil || ago < 0 {
		return errors.New("neither a duration such as 24h or 7d nor a time such as 2006-01-02T15:04:05Z")
	}
	w.at = time.Now().Add(-ago).Truncate(time.Second)
	return nil
}

// Type returns the kind of value.
func (w *when) Type() string { return "time" }

// filterFlags say which runs are wanted.
type filterFlags struct {
	statuses     []string
	since, until when
}

func (f *filterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(
		&f.statuses,
		"status",
		nil,
		"only runs with this `status`: FAILED, RUNNING or SUCCESS; can be repeated",
	)
	cmd.Flags().Var(
		&f.since,
		"since",
		"only runs that started then or later: a `time` (RFC 3339), or how long ago, such as 24h or 7d",
	)
	cmd.Flags().Var(&f.until, "until", "only runs that started before that `time`")
	complete(cmd, "status", cobra.FixedCompletions(statusNames, cobra.ShellCompDirectiveNoFileComp))
}

var statusNames = []string{
	string(client.JobRunStatusFailed), string(client.JobRunStatusRunning), string(client.JobRunStatusSuccess),
}

// options returns what the flags say.
func (f *filterFlags) options() (client.ListJobRunsOptions, error) {
	opts := client.ListJobRunsOptions{Since: f.since.at, Until: f.until.at}
	for _, name := range f.statuses {
		status := client.JobRunStatus(strings.ToUpper(name))
		if !status.Valid() {
			return opts, usagef("--status %q: %s are allowed", name, strings.Join(statusNames, ", "))
		}
		opts.Statuses = append(opts.Statuses, status)
	}
	return opts, nil
}

// pageFlags say which page of a list is wanted, as the official command line has them.
type pageFlags struct {
	at  client.ListOptions
	all bool
}

func (p *pageFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.at.PerPage, "per_page", 0, "`number` of results in a page, 1 to 100; 50 if left out")
	cmd.Flags().IntVar(&p.at.Page, "page", 0, "`number` of the page, from 1 on")
	cmd.Flags().StringVar(&p.at.Cursor, "cursor", "", "`cursor` of the page before, which is printed after it")
	cmd.Flags().BoolVar(&p.all, "loadAll", false, "all pages")
}

func (p *pageFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("per_page") && (p.at.PerPage < 1 || p.at.PerPage > 100):
		return usagef("--per_page %d: 1 to 100 are allowed", p.at.PerPage)
	case changed("page") && p.at.Page < 1:
		return usagef("--page %d: pages begin with 1", p.at.Page)
	case p.all && (changed("page") || changed("cursor")):
		return usagef("--loadAll does not go with --page or --cursor")
	}
	return nil
}
