package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
)

const (
	firstPause = time.Second
	maxPause   = 15 * time.Second

	// The server is asked to hold a response for maxHold, since many proxies give up after a
	// minute, and where one gives up earlier for half of that, down to minHold.
	maxHold = 50 * time.Second
	minHold = 10 * time.Second

	// maxSilence is how much later a response may come: the other end of a connection may be gone
	// without a word.
	maxSilence = time.Minute
)

var errSilence = errors.New("there is no answer")

// WaitOption changes what [Client.WaitForJobRun] does.
type WaitOption func(*wait)

// OnState has f called with the first state of the run that is seen, and with each that differs
// from the one before; the last is the concluded one. It is called by the goroutine that waits,
// which goes on when it returns.
func OnState(f func(run *JobRun)) WaitOption { return func(w *wait) { w.onState = f } }

// OnPause has f called after each request but the one that ends the wait: with its response, nil
// where there was none; its error, if it failed in a way that is ridden out; and the pause before
// the next request, which may be 0. It is called like that of [OnState], and after it.
func OnPause(f func(resp *Response, err error, pause time.Duration)) WaitOption {
	return func(w *wait) { w.onPause = f }
}

// WaitForStart has the wait go on for d after the first 404, because the run's recorder may come a
// moment later. The run is asked for again after pauses that grow from 0.1 to 5 seconds, longer
// where the rate limit needs it. If the run is still not there, or the rate limit leaves no room for
// another request in time, the wait ends with [ErrNotFound]. With 0, the default, and for a run
// that was seen before, a 404 ends the wait at once.
func WaitForStart(d time.Duration) WaitOption { return func(w *wait) { w.waitForStart = d } }

// WaitForJobRun returns the details of a run when it has concluded, well or badly.
//
// A server that knows "Prefer: wait" (RFC 7240, section 4.3) holds its response until then, for a
// while. Another one is asked again and again: after a second, and then after pauses that grow to
// 15 seconds. Either way pauses are as long as the rate limit needs: the last tenth of a window is
// never spent.
//
// Responses with the status 429, 502, 503 or 504, broken connections and responses that are a
// minute late are ridden out for as long as the context allows, whatever [WithMaxRetries] says,
// after the wait that the response names, however long, or else after pauses that grow in the same
// way. So is a 404 with [WaitForStart]. Every other error ends the wait at once, and is like that
// of [Client.GetJobRun].
//
// When the context ends, the error is the context's as [errors.Is] sees it, and says what trouble
// there was at the end. Only with that error the run is not nil: it is the last state seen, with
// its response. Both are nil if none was seen.
//
// Operations getJobRun and getTeamJobRun, like [Client.GetJobRun].
func (c *Client) WaitForJobRun(ctx context.Context, ref RunRef, opts ...WaitOption) (*JobRun, *Response, error) {
	w := newWait(ctx, c, opts)
	var seen *JobRun
	var seenIn *Response
	var trouble error
	ended := func() (*JobRun, *Response, error) {
		if trouble != nil { // only in words: it may be the error of another context
			return seen, seenIn, fmt.Errorf("%w; the last request failed: %s", ctx.Err(), trouble.Error())
		}
		return seen, seenIn, ctx.Err()
	}
	for {
		run, resp, err := w.ask(ctx, ref)
		var pause time.Duration
		switch {
		case err == nil:
			if !reflect.DeepEqual(run, seen) {
				w.onState(run)
			}
			if run.Concluded {
				return run, resp, nil
			}
			seen, seenIn = run, resp
			pause = w.next(resp, nil)
		case ctx.Err() != nil:
			return ended()
		case w.temporary:
			pause = w.next(resp, err)
		case seen == nil && errors.Is(err, ErrNotFound):
			var ok bool
			if pause, ok = w.nextLook(resp); !ok {
				return nil, resp, err
			}
		default:
			return nil, resp, err
		}
		trouble = err
		w.onPause(resp, err, pause)
		select {
		case <-ctx.Done():
			return ended()
		case <-time.After(pause):
		}
	}
}

// wait is what one wait knows.
type wait struct {
	client  *Client // which tries nothing again by itself
	onState func(*JobRun)
	onPause func(*Response, error, time.Duration)

	hold  time.Duration // what the server is asked for at the most
	pause time.Duration // what comes next, unless the server holds its responses
	fresh bool          // the next request should not wait: it is the first, or the one before failed

	waitForStart time.Duration // how long there may be no run
	absences     int           // how often there was none
	absentSince  time.Time

	// Of the last request:
	held      time.Duration // what the server was asked for
	took      time.Duration
	temporary bool          // whether the same may go better in a moment
	demanded  time.Duration // how long the server wants to be left alone
}

func newWait(ctx context.Context, c *Client, opts []WaitOption) *wait {
	single := *c
	single.maxRetries = 0
	w := &wait{
		client:  &single,
		onState: func(*JobRun) {},
		onPause: func(*Response, error, time.Duration) {},
		hold:    maxHold,
		pause:   firstPause,
		fresh:   true,
	}
	if c.http.Timeout > 0 {
		w.hold = min(w.hold, c.http.Timeout/4*3)
	}
	single.api.Client = doer(func(req *http.Request) (*http.Response, error) {
		answer, err := single.do(req)
		w.temporary = temporary(ctx, answer, err)
		w.demanded, _ = askedWait(answer, time.Now())
		return answer, err
	})
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// ask makes one request. A fresh one asks for a wait of no time: the state comes at once, and with
// it whether the server knows what a wait is.
func (w *wait) ask(ctx context.Context, ref RunRef) (*JobRun, *Response, error) {
	w.held, w.temporary = 0, false
	if !w.fresh {
		w.held = w.hold
		if deadline, ok := ctx.Deadline(); ok { // a response just before it is the last state to be seen
			w.held = min(w.held, max(time.Until(deadline)-time.Second, time.Second))
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.held+maxSilence, errSilence)
	defer cancel()
	prefer := fmt.Sprintf("wait=%d", w.held/time.Second)
	begin := time.Now()
	run, resp, err := w.client.getJobRun(ctx, ref, &prefer)
	w.took = time.Since(begin)
	return run, resp, err
}

// next returns the pause before the next request. The response is nil if there was none.
func (w *wait) next(resp *Response, err error) time.Duration {
	var limit RateLimit
	if resp != nil {
		limit = resp.RateLimit
	}
	if err == nil {
		applied, known := appliedWait(resp.Header)
		held := known && w.took >= max(applied, time.Second)/10*9 // else it may be shutting down
		if held {
			w.pause = firstPause
		}
		if held || known && w.fresh {
			w.fresh = false
			return pace(0, w.took, limit)
		}
	}
	pause := w.pause
	w.pause = min(w.pause*3/2, maxPause)
	w.fresh = err != nil
	if err != nil {
		if w.held > 0 && w.took >= minHold { // something in between did not wait as long
			w.hold = min(w.hold, max(w.hold/2, minHold))
		}
		pause = max(jitter(pause), w.demanded)
	}
	return pace(pause, w.took, limit)
}

// nextLook returns the pause before the next request for a run that was not there, and whether
// there is time for one.
func (w *wait) nextLook(resp *Response) (pause time.Duration, ok bool) {
	if w.absences == 0 {
		w.absentSince = time.Now()
	}
	left := w.waitForStart - time.Since(w.absentSince)
	pause = jitter(min(firstBackoff<<min(w.absences, 10), maxBackoff))
	w.absences++
	pause = pace(min(pause, left), w.took, resp.RateLimit) // the last one asks at the end of the time
	return pause, left > 0 && pause <= left
}

// pace returns the pause between a response that took so long and the next request, made longer
// where the rate limit needs it: to keep the last tenth of the window, and to have the rest last
// where it would not do for every maxPause.
func pace(pause, took time.Duration, limit RateLimit) time.Duration {
	if limit == (RateLimit{}) {
		return pause
	}
	tenth := limit.Limit / 10
	if limit.Limit%10 > 0 {
		tenth++
	}
	spare := limit.Remaining - tenth
	if spare <= 0 {
		return max(pause, limit.Reset, firstPause)
	}
	if each := limit.Reset / time.Duration(spare); each > maxPause {
		return max(pause, each-took)
	}
	return pause
}

// appliedWait is how long the server has meant to hold its response, and whether it knows how: by
// the "wait" in Preference-Applied (RFC 7240, section 3).
func appliedWait(h http.Header) (time.Duration, bool) {
	for applied := range strings.SplitSeq(strings.Join(h.Values("Preference-Applied"), ","), ",") {
		name, value, _ := strings.Cut(applied, "=")
		if strings.EqualFold(strings.TrimSpace(name), "wait") {
			return parseSeconds(strings.Trim(value, " \t\""))
		}
	}
	return 0, false
}
