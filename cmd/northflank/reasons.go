package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/jobruns/jobruns/client"
)

const (
	// mostReasons is how many runs of a list are asked for why they failed, unless --outcome asks for all.
	mostReasons = 100
	// reasonsAtOnce is how many of them at the same time.
	reasonsAtOnce = 8
	// reasonsTimeout bounds how long a list is held up that could be shown without.
	reasonsTimeout = 30 * time.Second
)

const outcomeHelp = `
With --status FAILED, the table says why each run failed, and on which host, where the server knows. That takes a
request for each run, 100 at the most; the last tenth of the token's requests is left alone. --outcome=false leaves it
out. --outcome adds it to any table and, with -o json or yaml, as the member outcome of each run that failed, null where
the server does not say. On a terminal that is too narrow, the table leaves out the IDs and more.
`

// outcomeFlag is --outcome.
type outcomeFlag bool

func (f *outcomeFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar((*bool)(f), "outcome", false, "say why runs failed; with --status FAILED, tables do so anyway")
}

// wanted reports whether reasons are to be shown.
func (f *outcomeFlag) wanted(cmd *cobra.Command, r *request, opts client.ListJobRunsOptions) bool {
	if cmd.Flags().Changed("outcome") {
		return bool(*f)
	}
	return r.output == "" && slices.Equal(opts.Statuses, []client.JobRunStatus{client.JobRunStatusFailed})
}

// most is how many runs to ask for.
func (f *outcomeFlag) most(cmd *cobra.Command) int {
	if cmd.Flags().Changed("outcome") {
		return -1
	}
	return mostReasons
}

// reasons are why the runs of a list failed. A nil one has none.
type reasons struct {
	failed []bool    // by the index of the run
	found  []*reason // by the index of the run; nil where it did not fail, or that is not known
	asked  bool      // whether the server knows reasons
	left   int       // how many runs that failed were not asked for
	limit  string    // why they were not
	err    error     // the last trouble with one that was
}

// findReasons asks why the failed ones of n runs have failed, a few at once. run returns one by its
// index. It asks for up to most of them, or for all if that is negative, and stops when the time is
// up or only a tenth of the token's requests is left.
func findReasons(
	ctx context.Context, c *client.Client, n, most int, run func(i int) (*client.JobRun, client.RunRef),
) *reasons {
	ctx, cancel := context.WithTimeout(ctx, reasonsTimeout)
	defer cancel()
	w := &reasons{failed: make([]bool, n), found: make([]*reason, n)}
	var failed []int
	for i := range n {
		if run, _ := run(i); run.Status == client.JobRunStatusFailed {
			w.failed[i] = true
			failed = append(failed, i)
		}
	}
	if most >= 0 && len(failed) > most {
		w.left, w.limit = len(failed)-most, fmt.Sprintf("more than %d: --outcome asks for all", most)
		failed = failed[:most]
	}
	var mu sync.Mutex
	var stopped atomic.Bool
	ask := func(i int) {
		if stopped.Load() {
			mu.Lock()
			defer mu.Unlock()
			w.left++
			return
		}
		_, ref := run(i)
		found, resp, err := askReason(ctx, c, ref)
		mu.Lock()
		defer mu.Unlock()
		w.found[i] = found
		removed := w.asked && unknowing(err) // meanwhile
		if err != nil && !removed {
			w.err = err
		}
		if why := enough(resp, err); why != "" && !stopped.Swap(true) {
			w.limit = why
		}
	}
	if len(failed) == 0 {
		return w
	}
	ask(failed[0]) // alone: it tells whether the server knows reasons
	if unknowing(w.err) {
		return w
	}
	w.asked = true
	var group errgroup.Group
	group.SetLimit(reasonsAtOnce)
	for _, i := range failed[1:] {
		group.Go(func() error { ask(i); return nil })
	}
	_ = group.Wait() // none of them returns an error
	return w
}

// enough says why no further run should be asked for, or "". The response is nil if there was none.
func enough(resp *client.Response, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the server takes too long"
	case errors.Is(err, client.ErrRateLimited), resp != nil && resp.RateLimit.Limit > 0 &&
		resp.RateLimit.Remaining <= resp.RateLimit.Limit/10:
		return "the token has few requests left"
	}
	return ""
}

// known reports whether there is anything to say of any run.
func (w *reasons) known() bool { return w != nil && w.asked && slices.Contains(w.failed, true) }

// cells are the host and the reason of a run, by its index.
func (w *reasons) cells(i int) (host, text string) {
	why := w.found[i]
	switch {
	case !w.failed[i]:
		return "", ""
	case why == nil:
		return "?", "?"
	case why.Host != nil:
		host = *why.Host
	}
	return printable(host), printable(why.short())
}

// addTo adds the outcome to each run that failed, by its index.
func (w *reasons) addTo(sent []json.RawMessage) (err error) {
	if w == nil {
		return nil
	}
	for i, failed := range w.failed {
		if failed && err == nil {
			sent[i], err = withOutcome(sent[i], w.found[i])
		}
	}
	return err
}

// note says what is not there and why, or nothing.
func (w *reasons) note() string {
	if w == nil || !w.asked {
		return ""
	}
	var text string
	if w.left > 0 {
		text = fmt.Sprintf("The reasons of %s that failed are left out: %s.\n", plural(w.left, "run", "runs"), w.limit)
	}
	if w.err != nil {
		text += fmt.Sprintf("Not every reason could be asked for: %s\n", printable(w.err.Error()))
	}
	return text
}
