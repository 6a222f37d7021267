package client

import (
	"cmp"
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

	// maxHold is the longest delay that the client asks of the server, because many proxies time
	// out after a minute. After an earlier timeout it asks for half, down to minHold.
	maxHold = 50 * time.Second
	minHold = 10 * time.Second

	// maxSilence is how late a response may be after that. The other end of a connection may be
	// gone without notice.
	maxSilence = time.Minute
)

var errSilence = errors.New("there is no response")

// WaitOption configures [Client.WaitForJobRun].
type WaitOption func(*wait)

// OnState calls f with the first state of the run, and with each that differs from the previous
// one; the last is the concluded one. The waiting goroutine calls f, and continues when f returns.
func OnState(f func(run *JobRun)) WaitOption { return func(w *wait) { w.onState = f } }

// OnPause calls f after each request except the last: with its response, nil if there is none; its
// error, if it failed temporarily; and the pause before the next request, which may be 0. The
// waiting goroutine calls f, after the function of [OnState].
func OnPause(f func(resp *Response, err error, pause time.Duration)) WaitOption {
	return func(w *wait) { w.onPause = f }
}

// WaitForStart makes the wait continue for d after the first 404, because the run's recorder may
// come a moment later. The client asks again after pauses that grow from 0.1 to 5 seconds, longer
// if the rate limit requires it. If the run is still absent, or the rate limit leaves no room for
// another request in time, the wait ends with [ErrNotFound]. With 0, the default, and for a run
// that was seen before, a 404 ends the wait at once.
func WaitForStart(d time.Duration) WaitOption { return func(w *wait) { w.waitForStart = d } }

// WaitForJobRun returns the details of a run when it has concluded, whether it succeeded or failed.
//
// A server that knows "Prefer: wait" (RFC 7240, section 4.3) delays its response until then, for a
// while. The client polls other servers: after a second, and then after pauses that grow to 15
// seconds. In both cases pauses are as long as the rate limit requires, and the last tenth of a
// window stays unused.
//
// The wait survives responses with the status 429, 502, 503 or 504, broken connections and
// responses that are a minute late for as long as the context allows, regardless of
// [WithMaxRetries]. It then pauses as long as the response demands, or else for pauses that grow in
// the same way. With [WaitForStart] it survives a 404, too. Every other error ends the wait at
// once, and is like that of [Client.GetJobRun].
//
// When the context ends, the error is the context's for [errors.Is], and its text includes the
// error of the last request. Only with that error the run can be non-nil: it is the last state
// seen, with its response. Both are nil if there is none.
func (c *Client) WaitForJobRun(ctx context.Context, ref RunRef, opts ...WaitOption) (*JobRun, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	w := newWait(c, opts)
	var seen *JobRun
	var seenIn *Response
	var trouble error
	ended := func() (*JobRun, *Response, error) {
		if trouble != nil { // only its text: it may be the error of another context
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
		case temporary(ctx, err):
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

// wait is the state of one wait.
type wait struct {
	client  Client // without retries
	onState func(*JobRun)
	onPause func(*Response, error, time.Duration)

	hold  time.Duration // the delay to ask of the server
	pause time.Duration // the next one, unless the server delays its responses
	fresh bool          // whether to ask for no delay: at first, and after a failure

	waitForStart time.Duration // how long the run may be absent
	absences     int           // requests that did not find it
	absentSince  time.Time

	held, took time.Duration // of the last request: the delay that it asked for, and its duration
}

func newWait(c *Client, opts []WaitOption) *wait {
	w := &wait{
		client:  *c,
		onState: func(*JobRun) {},
		onPause: func(*Response, error, time.Duration) {},
		hold:    maxHold,
		pause:   firstPause,
		fresh:   true,
	}
	w.client.maxRetries = 0
	if c.http.Timeout > 0 {
		w.hold = min(w.hold, c.http.Timeout/4*3)
	}
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// ask makes one request. A fresh one asks for a delay of 0: the state comes at once, and shows
// whether the server knows the preference.
func (w *wait) ask(ctx context.Context, ref RunRef) (*JobRun, *Response, error) {
	w.held = 0
	if !w.fresh {
		w.held = w.hold
		// A response just before the deadline has the last state that can be seen.
		if deadline, ok := ctx.Deadline(); ok {
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
	resp = cmp.Or(resp, new(Response))
	pause := w.pause
	if err != nil {
		if w.held > 0 && w.took >= minHold { // a proxy did not wait as long
			w.hold = min(w.hold, max(w.hold/2, minHold))
		}
		demanded, _ := askedWait(resp.Response, time.Now())
		pause = max(jitter(pause), demanded)
	} else {
		applied, known := appliedWait(resp.Header)
		held := known && w.took >= max(applied, time.Second)/10*9 // else it may shut down
		if held {
			w.pause = firstPause
		}
		if held || known && w.fresh {
			w.fresh = false
			return pace(0, w.took, resp.RateLimit)
		}
	}
	w.fresh = err != nil
	w.pause = min(w.pause*3/2, maxPause)
	return pace(pause, w.took, resp.RateLimit)
}

// nextLook returns the pause before the next request for a run that is absent, and whether there is
// time for it.
func (w *wait) nextLook(resp *Response) (pause time.Duration, ok bool) {
	if w.absences == 0 {
		w.absentSince = time.Now()
	}
	left := w.waitForStart - time.Since(w.absentSince)
	pause = pace(min(backoff(w.absences), left), w.took, resp.RateLimit) // the last at the end
	w.absences++
	return pause, left > 0 && pause <= left
}

// pace returns the pause between a response, which took so long, and the next request. It lengthens
// the pause if the rate limit requires it: to leave the last tenth of the window unused, and to
// spread the rest over the window if there is less than a request every maxPause.
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

// appliedWait returns the longest delay that the server intended, and whether it knows the
// preference: the "wait" in Preference-Applied (RFC 7240, section 3).
func appliedWait(h http.Header) (time.Duration, bool) {
	for applied := range strings.SplitSeq(strings.Join(h.Values("Preference-Applied"), ","), ",") {
		name, value, _ := strings.Cut(applied, "=")
		if strings.EqualFold(strings.TrimSpace(name), "wait") {
			return parseSeconds(strings.Trim(value, " \t\""))
		}
	}
	return 0, false
}
