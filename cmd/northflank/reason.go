package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/jobruns/jobruns/client"
)

const (
	// mostReasons caps how many runs of a list the program asks for why they failed, unless --outcome
	// asks for all.
	mostReasons = 100
	// reasonsAtOnce is how many of these requests run at the same time.
	reasonsAtOnce = 8
	// reasonsTimeout bounds how long a list waits for reasons.
	reasonsTimeout = 30 * time.Second
)

// reasonTimeout bounds how long a run waits for its reason. Tests shorten it.
var reasonTimeout = 5 * time.Second

const outcomeHelp = `
With --status FAILED, the table says why each run failed, and on which host, where the server knows. That takes a
request for each run, 100 at the most; the last tenth of the token's requests is left alone. --outcome=false leaves it
out. --outcome adds it to any table and, with -o json or yaml, as the member outcome of each run that failed, null where
the server does not say. On a terminal that is too narrow, the table leaves out the IDs and more.
`

// reason is why a run ended as it did.
type reason struct {
	*client.JobRunOutcome
	sent json.RawMessage // the same as the server sent it
}

// askReason returns why a run ended as it did. The run exists. The response is nil if there was none.
func askReason(ctx context.Context, c *client.Client, ref client.RunRef) (*reason, *client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	found, resp, err := c.GetJobRunOutcome(ctx, ref, client.RunExists())
	if err != nil {
		return nil, resp, err
	}
	sent, err := sentData(resp)
	return &reason{found, sent}, resp, err
}

// sentData returns the data of a response as the server sent them.
func sentData(resp *client.Response) (json.RawMessage, error) {
	var body struct{ Data json.RawMessage }
	err := json.NewDecoder(resp.Body).Decode(&body)
	return body.Data, err
}

// withoutOutcomes reports whether an error means that the server does not know outcomes, as far as
// one can tell, or does not let the token see them. The program does not mention such an error.
func withoutOutcomes(err error) bool {
	var apiErr *client.Error
	return errors.Is(err, client.ErrUnsupported) || errors.As(err, &apiErr) &&
		(apiErr.Status < 500 && apiErr.Status != http.StatusTooManyRequests || apiErr.Status == http.StatusNotImplemented)
}

// raw returns the reason as the server sent it, or nil for none.
func (r *reason) raw() json.RawMessage {
	if r == nil {
		return nil
	}
	return r.sent
}

// cause returns why the run ended as it did, in the words of its recorder.
func (r *reason) cause() string {
	switch {
	case r.Message != nil && *r.Message != "":
		return strings.TrimSuffix(*r.Message, ".")
	case r.Reason != nil:
		return *r.Reason
	}
	return ""
}

// lastAttempt returns the last attempt that ended, or nil. Its cause is "" if the run has the same.
func (r *reason) lastAttempt() (last *client.JobRunAttempt, cause string) {
	if len(r.Attempts) == 0 {
		return nil, ""
	}
	last = &r.Attempts[len(r.Attempts)-1]
	if cause = attemptCause(last); strings.Contains(r.cause(), cause) {
		cause = ""
	}
	return last, cause
}

func attemptCause(attempt *client.JobRunAttempt) string {
	if attempt.Message == "" {
		return attempt.Reason
	}
	return strings.TrimSuffix(attempt.Message, ".")
}

// sentence returns the cause, the host and the attempt, such as "exit status 23 on web-1, 3rd attempt
// of 3". It is not escaped yet.
func (r *reason) sentence(run *client.JobRun) string {
	text := r.cause()
	if r.Host != nil && *r.Host != "" {
		text += " on " + *r.Host
	}
	last, cause := r.lastAttempt()
	allowed := run.BackoffLimit + 1
	if last == nil || cause == "" && last.Number == 1 && allowed == 1 {
		return text
	}
	attempt := humanize.Ordinal(last.Number) + " attempt"
	if last.Number <= allowed && allowed > 1 {
		attempt += fmt.Sprintf(" of %d", allowed)
	}
	if cause != "" {
		return text + "; " + attempt + ": " + cause
	}
	return text + ", " + attempt
}

// detail writes rows about the reason, the host and each attempt.
func (r *reason) detail(w io.Writer) {
	if r.Reason != nil {
		text := *r.Reason
		if cause := r.cause(); cause != text {
			text += ": " + cause
		}
		fmt.Fprintf(w, "Reason\t%s\n", escape(text))
	}
	if r.Host != nil {
		fmt.Fprintf(w, "Host\t%s\n", escape(*r.Host))
	}
	for _, attempt := range r.Attempts {
		took := length(max(0, attempt.ConcludedAt.Sub(attempt.StartedAt)))
		fmt.Fprintf(w, "Attempt %d\t%s, after %s\n", attempt.Number, escape(attemptCause(&attempt)), took)
	}
}

// outcomeFlag is --outcome of a list.
type outcomeFlag bool

func (f *outcomeFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar((*bool)(f), "outcome", false, "say why runs failed; with --status FAILED, tables do so anyway")
}

// most returns the maximum number of runs to find the reason of.
func (f *outcomeFlag) most(cmd *cobra.Command, r *request, opts client.ListJobRunsOptions) int {
	switch {
	case bool(*f):
		return math.MaxInt
	case cmd.Flags().Changed("outcome"):
		return 0
	case r.format == "" && slices.Equal(opts.Statuses, []client.JobRunStatus{client.JobRunStatusFailed}):
		return mostReasons
	}
	return 0
}

func (run *listedRun) failed() bool { return run.Status == client.JobRunStatusFailed }

// reasonCells are the host and the reason of a run.
func (run *listedRun) reasonCells() (host, text string) {
	switch {
	case !run.failed():
		return "", ""
	case run.why == nil:
		return unknown, unknown
	case run.why.Host != nil:
		host = *run.why.Host
	}
	text = run.why.cause()
	if _, cause := run.why.lastAttempt(); cause != "" {
		text += "; the last attempt: " + cause
	}
	return escape(host), escape(text)
}

// reasons is how finding the reasons of a list went.
type reasons struct {
	known bool   // whether a run failed and the server knows reasons
	left  int    // number of failed runs that were not asked for
	limit string // why they were not
	err   error  // the last error
}

// findReasons sets the field why of the failed runs, of as many as most. It stops if the time is up or
// only a tenth of the token's requests is left.
func findReasons(ctx context.Context, c *client.Client, runs []listedRun, most int) *reasons {
	ctx, cancel := context.WithTimeout(ctx, reasonsTimeout)
	defer cancel()
	var found reasons
	var failed []*listedRun
	for i := range runs {
		if runs[i].failed() {
			failed = append(failed, &runs[i])
		}
	}
	if most == 0 || len(failed) == 0 {
		return &found
	}
	if len(failed) > most {
		found.left, found.limit = len(failed)-most, fmt.Sprintf("more than %d: --outcome asks for all", most)
		failed = failed[:most]
	}
	var mu sync.Mutex
	stopped := false
	ask := func(run *listedRun) {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			found.left++
			return
		}
		mu.Unlock()
		why, resp, err := askReason(ctx, c, run.ref)
		mu.Lock()
		run.why = why
		removed := found.known && withoutOutcomes(err) // since the list was made
		if err != nil && !removed {
			found.err = err
		}
		if limit := reachedLimit(resp, err); limit != "" && !stopped {
			stopped, found.limit = true, limit
		}
	}
	ask(failed[0]) // alone, because it shows whether the server knows reasons
	if withoutOutcomes(found.err) {
		return &reasons{}
	}
	found.known = true
	var group errgroup.Group
	group.SetLimit(reasonsAtOnce)
	for _, run := range failed[1:] {
		group.Go(func() error { ask(run); return nil })
	}
	_ = group.Wait() // none of them returns an error
	return &found
}

// reachedLimit returns why the program should ask for no further run, or "". The response is nil if
// there was none.
func reachedLimit(resp *client.Response, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the server takes too long"
	case errors.Is(err, client.ErrRateLimited), resp != nil && resp.RateLimit.Limit > 0 &&
		resp.RateLimit.Remaining <= resp.RateLimit.Limit/10:
		return "the token has few requests left"
	}
	return ""
}

// note returns what is missing and why, or "".
func (r *reasons) note() string {
	var text string
	if r.left > 0 {
		text = fmt.Sprintf("The reasons of %s that failed are left out: %s.\n", english.Plural(r.left, "run", ""), r.limit)
	}
	if r.err != nil {
		text += fmt.Sprintf("Not every reason could be asked for: %s\n", escape(r.err.Error()))
	}
	return text
}
