package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/cmd/internal/duration"
)

// request is the common part of all commands that send requests to a server.
type request struct {
	server connectionFlags
	ref    client.RunRef
	format string     // json, yaml, or "" for people
	jq     string     // an expression, or ""
	code   *gojq.Code // the compiled expression, or nil

	quiet, verbose, noDefaults bool

	// Set by connect.
	conn   connection
	client *client.Client
}

// A level is the number of IDs that a command needs, in the order of levels.
const (
	needsNothing = iota
	needsProject
	needsJob
	needsRun
)

// levels are the things that a command can need the ID of. Each belongs to the one before.
var levels = []struct{ thing, flag, lister string }{
	{"project", "projectId", "northflank list projects"},
	{"job", "jobId", "northflank list jobs"},
	{"run", "runId", "northflank get job runs"},
}

// ids are the IDs of the ref, down to a level.
func (r *request) ids(level int) []*string {
	return []*string{&r.ref.Project, &r.ref.Job, &r.ref.Run}[:level]
}

// addFlags adds the flags of the server, of the IDs down to level, and of the output.
func (r *request) addFlags(cmd *cobra.Command, level int) {
	flags := cmd.Flags()
	flags.SortFlags = false
	// The official command line has other names for some flags.
	aliases := map[string]string{"team": "teamId"}
	for _, l := range levels {
		aliases[l.thing] = l.flag
	}
	for i, id := range r.ids(level) {
		l := levels[i]
		flags.StringVar(id, l.flag, "", fmt.Sprintf("`ID` of the %s (or --%s)", l.thing, l.thing))
		complete(cmd, l.flag, r.completions(i+1))
	}
	flags.StringVar(&r.ref.Team, "teamId", "", "`ID` of the team, if not the token's own (or --team)")
	flags.StringVarP(&r.format, "output", "o", "", "`format`, json or yaml; for people if left out")
	complete(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	flags.StringVarP(&r.jq, "jq", "q", "", "`expression` of jq for what to print of the JSON; with -o json")
	r.server.add(cmd, "API `token`")
	flags.BoolVar(&r.quiet, "quiet", false, "print nothing, unless there is an error")
	flags.BoolVar(&r.verbose, "verbose", false, "show request and response on standard error")
	flags.BoolVar(&r.noDefaults, "noDefaults", false, "take no IDs from the context: name them, or be asked on a terminal")
	flags.Bool("skipValidation", false,
		"for scripts of the official command line; changes nothing, because the server checks the IDs")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if full, ok := aliases[name]; ok {
			name = full
		}
		return pflag.NormalizedName(name)
	})
}

// open connects, and asks on a terminal for the IDs that are missing.
func (r *request) open(ctx context.Context, level int) error {
	if err := r.connect(level); err != nil {
		return err
	}
	return r.choose(ctx, level)
}

// connect checks the flags, makes the client, and takes the IDs down to level from the context if
// they are missing.
func (r *request) connect(level int, options ...client.Option) error {
	if r.format != "" && r.format != "json" && r.format != "yaml" {
		return usagef("unknown output format %q: json and yaml are allowed", r.format)
	}
	if r.jq != "" {
		if r.format != "json" {
			return usagef("--jq goes with -o json")
		}
		var err error
		if r.code, err = compileJQ(r.jq); err != nil {
			return err
		}
	}
	var err error
	if r.conn, err = r.server.resolve(); err != nil {
		return err
	}
	defaults := []string{r.conn.context.Project, r.conn.context.Job, ""}
	for i, id := range r.ids(level) {
		if *id == "" && !r.noDefaults {
			*id = defaults[i]
		}
	}
	r.client, err = r.conn.client(options...)
	return err
}

// missing returns an error that names the missing flags down to a level, and the commands that list
// possible values. It is nil if no flag is missing.
func (r *request) missing(level int) error {
	var flags, listers []string
	for i, id := range r.ids(level) {
		if *id == "" {
			flags = append(flags, "--"+levels[i].flag+" ID")
			listers = append(listers, levels[i].lister)
		}
	}
	if flags == nil {
		return nil
	}
	return usagef("missing %s: see %s", strings.Join(flags, " "), strings.Join(listers, ", "))
}

func (r *request) project() client.ProjectRef {
	return client.ProjectRef{Team: r.ref.Team, Project: r.ref.Project}
}

func (r *request) job() client.JobRef {
	return client.JobRef{Team: r.ref.Team, Project: r.ref.Project, Job: r.ref.Job}
}

// runRequest is the common part of the commands about one run.
type runRequest struct {
	request
	latest bool // the newest run of the job is meant
}

func (r *runRequest) addFlags(cmd *cobra.Command) {
	r.request.addFlags(cmd, needsRun)
	cmd.Flags().BoolVar(&r.latest, "latest", false, "the run of the job that started last, instead of --runId")
}

func (r *runRequest) open(ctx context.Context) error {
	switch {
	case r.latest && r.ref.Run != "":
		return usagef("--latest does not go with --runId")
	case r.latest:
		return r.request.open(ctx, needsJob)
	}
	return r.request.open(ctx, needsRun)
}

// newest returns the run of the job that started last.
func (r *runRequest) newest(ctx context.Context) (*client.JobRun, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run, resp, err := r.client.LatestJobRun(ctx, r.job())
	r.trace(resp)
	if err != nil {
		return nil, nil, r.userError(err, resp)
	}
	return run, resp, nil
}

// trace shows a response, which may be nil, with --verbose.
func (r *request) trace(resp *client.Response) {
	if r.verbose && resp != nil {
		fmt.Fprint(os.Stderr, trace(resp))
	}
}

// trace returns the text of --verbose. It never contains the token.
func trace(resp *client.Response) string {
	status := resp.Status
	if token := strings.TrimPrefix(resp.Request.Header.Get("Authorization"), "Bearer "); token != "" {
		status = strings.ReplaceAll(status, token, "[token]")
	}
	text := escape(resp.Request.Method+" "+resp.Request.URL.String()) + "\nstatus: " + escape(status) + "\n"
	if resp.RequestID != "" {
		text += "request id: " + escape(resp.RequestID) + "\n"
	}
	if l := resp.RateLimit; l != (client.RateLimit{}) {
		text += fmt.Sprintf("rate limit: %d of %d requests left, reset in %v\n", l.Remaining, l.Limit, l.Reset)
	}
	return text
}

// when is a flag's value: a time (RFC 3339), or a duration before now, such as 24h or 7d.
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
	if err != nil {
		return errors.New("neither a duration such as 24h or 7d nor a time such as 2006-01-02T15:04:05Z")
	}
	w.at = time.Now().Add(-ago).Truncate(time.Second)
	return nil
}

// Type returns the kind of value.
func (w *when) Type() string { return "time" }

// filterFlags select runs of a list.
type filterFlags struct {
	statuses     []string
	since, until when
}

func (f *filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.statuses, "status", nil,
		"only runs with this `status`: FAILED, RUNNING or SUCCESS; can be repeated")
	flags.Var(&f.since, "since",
		"only runs that started then or later: a `time` (RFC 3339), or how long ago, such as 24h or 7d")
	flags.Var(&f.until, "until", "only runs that started before that `time`")
	complete(cmd, "status", cobra.FixedCompletions(statusNames, cobra.ShellCompDirectiveNoFileComp))
}

var statusNames = []string{
	string(client.JobRunStatusFailed), string(client.JobRunStatusRunning), string(client.JobRunStatusSuccess),
}

// options returns the options of a request with these flags.
func (f *filterFlags) options() (client.ListProjectRunsOptions, error) {
	opts := client.ListProjectRunsOptions{Since: f.since.at, Until: f.until.at}
	for _, name := range f.statuses {
		status := client.JobRunStatus(strings.ToUpper(name))
		if !status.Valid() {
			return opts, usagef("--status %q: %s are allowed", name, strings.Join(statusNames, ", "))
		}
		opts.Statuses = append(opts.Statuses, status)
	}
	return opts, nil
}

// pageFlags select a page of a list, like the flags of the official command line.
type pageFlags struct {
	at    client.ListOptions
	all   bool
	limit int // maximum number of results with all; 0 for no limit
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
	case p.limit < 0:
		return usagef("--limit %d: must not be negative", p.limit)
	case p.all && (changed("page") || changed("cursor")):
		return usagef("--loadAll does not go with --page or --cursor")
	}
	return nil
}
