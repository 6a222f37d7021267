package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// state is a body with a run that has had so many attempts.
func state(status JobRunStatus, attempts int, concluded bool) string {
	return fmt.Sprintf(`{"data": {"id": "r", "status": %q, "completions": %d, "concluded": %v}}`, status, attempts, concluded)
}

var (
	running   = state(JobRunStatusRunning, 0, false)
	retrying  = state(JobRunStatusRunning, 1, false)
	succeeded = state(JobRunStatusSuccess, 2, true)
	failed    = state(JobRunStatusFailed, 2, true)
)

// applied is a handler that knows the preference: it holds its response as long as the caller
// wants, up to d.
func applied(d time.Duration, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds, _ := parseSeconds(strings.TrimPrefix(r.Header.Get("Prefer"), "wait="))
		sleep(r.Context(), min(seconds, d))
		preference := fmt.Sprintf("wait=%d", seconds/time.Second)
		answers(200, body, append([]string{"Preference-Applied", preference}, headers...)...)(w, r)
	}
}

// after is a handler that takes a while.
func after(d time.Duration, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sleep(r.Context(), d)
		handler(w, r)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// limited are the headers of a rate limit of 100 requests.
func limited(remaining, reset string) []string {
	return []string{"X-Ratelimit-Limit", "100", "X-Ratelimit-Remaining", remaining, "X-Ratelimit-Reset", reset}
}

// cut is a handler whose answer ends too early.
var cut = answers(200, running[:10], "Content-Length", "500")

// request is one that is expected: how long after the one before, at most and at least, and with
// which preference.
type request struct {
	most, least time.Duration
	prefer      string
}

func TestWait(t *testing.T) {
	const s = time.Second
	at := func(d time.Duration, prefer string) request { return request{d, d, prefer} }
	poll := func(d time.Duration) request { return at(d, "wait=50") }
	now, hold := at(0, "wait=0"), at(0, "wait=50")
	cutAfter := func(took, backoff time.Duration) request { return request{took + backoff, took + backoff/2, "wait=0"} }
	again := func(backoff time.Duration) request { return cutAfter(0, backoff) }

	for name, tt := range map[string]struct {
		handlers []http.HandlerFunc
		deadline time.Duration // none if 0
		timeout  time.Duration // of the http.Client
		options  []WaitOption
		requests []request
		states   string // each status and number of attempts
		last     JobRunStatus
		want     error // nil for none, or for an *Error with the status
		status   int
	}{
		"concluded": {
			handlers: []http.HandlerFunc{answers(200, succeeded)},
			requests: []request{now},
			states:   "SUCCESS 2", last: JobRunStatusSuccess,
		},
		"applied": {
			handlers: []http.HandlerFunc{applied(0, running), applied(time.Hour, running), applied(time.Hour, retrying), applied(10*s, failed)},
			requests: []request{now, hold, poll(50 * s), poll(50 * s)},
			states:   "RUNNING 0, RUNNING 1, FAILED 2", last: JobRunStatusFailed,
		},
		"applied for less": {
			handlers: []http.HandlerFunc{applied(0, running), after(20*s, answers(200, running, "Preference-Applied", "wait=20")), answers(200, succeeded)},
			requests: []request{now, hold, poll(20 * s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"not applied": {
			handlers: []http.HandlerFunc{
				answers(200, running), answers(200, running), answers(200, running), answers(200, retrying), answers(200, retrying),
				answers(200, retrying), answers(200, retrying), answers(200, retrying), answers(200, retrying), answers(200, succeeded),
			},
			requests: []request{
				now, poll(s), poll(s * 3 / 2), poll(s * 9 / 4), poll(s * 27 / 8), poll(s * 81 / 16),
				poll(s * 243 / 32), poll(s * 729 / 64), poll(15 * s), poll(15 * s),
			},
			states: "RUNNING 0, RUNNING 1, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"applied, but not held": {
			handlers: []http.HandlerFunc{applied(0, running), applied(3*s, running), applied(0, running), applied(time.Hour, running), applied(0, running), applied(0, succeeded)},
			requests: []request{now, hold, poll(4 * s), poll(1500 * time.Millisecond), poll(50 * s), poll(s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"applied for no time": {
			handlers: []http.HandlerFunc{
				answers(200, running, "Preference-Applied", "wait=0"), answers(200, running, "Preference-Applied", "wait=0"), answers(200, succeeded),
			},
			requests: []request{now, hold, poll(s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"applied for ever": {
			handlers: []http.HandlerFunc{
				answers(200, running, "Preference-Applied", "wait=99999999999"), answers(200, running, "Preference-Applied", "wait=99999999999"), answers(200, succeeded),
			},
			timeout:  1<<63 - 1,
			requests: []request{now, hold, poll(s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"server restarts": {
			handlers: []http.HandlerFunc{applied(0, running), after(5*s, cut), nil, nil, answers(502, ""), applied(0, retrying), applied(10*s, succeeded)},
			requests: []request{now, hold, cutAfter(5*s, s), again(s * 3 / 2), again(s * 9 / 4), again(s * 27 / 8), hold},
			states:   "RUNNING 0, RUNNING 1, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"not up yet": {
			handlers: []http.HandlerFunc{nil, answers(200, succeeded)},
			requests: []request{now, again(s)},
			states:   "SUCCESS 2", last: JobRunStatusSuccess,
		},
		"503 with Retry-After": {
			handlers: []http.HandlerFunc{answers(200, running), answers(503, "", "Retry-After", "120"), answers(503, "", "Retry-After", "0"), answers(200, succeeded)},
			requests: []request{now, poll(s), at(120*s, "wait=0"), again(s * 9 / 4)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"429": {
			handlers: []http.HandlerFunc{answers(429, "", limited("0", "3600")...), answers(200, succeeded)},
			requests: []request{now, at(time.Hour, "wait=0")},
			states:   "SUCCESS 2", last: JobRunStatusSuccess,
		},
		"rate limit nearly used up": {
			handlers: []http.HandlerFunc{answers(200, running, limited("11", "300")...), answers(200, running, limited("10", "5")...), answers(200, succeeded, limited("99", "3600")...)},
			requests: []request{now, poll(300 * s), poll(5 * s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"rate limit while held": {
			handlers: []http.HandlerFunc{applied(0, running, limited("90", "800")...), applied(time.Hour, running, limited("20", "600")...), applied(time.Hour, running, limited("15", "500")...), answers(200, succeeded)},
			requests: []request{now, hold, poll(60 * s), poll(100 * s)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"cut by a proxy": {
			handlers: []http.HandlerFunc{
				applied(0, running), after(30*s, answers(504, "")), applied(0, running), applied(time.Hour, running),
				after(20*s, cut), applied(0, running), after(15*s, cut), applied(0, running), applied(5*s, succeeded),
			},
			requests: []request{
				now, hold, cutAfter(30*s, s), at(0, "wait=25"), at(25*s, "wait=25"),
				cutAfter(20*s, s), at(0, "wait=12"), cutAfter(15*s, s*3/2), at(0, "wait=10"),
			},
			states: "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"silence": {
			handlers: []http.HandlerFunc{after(time.Hour, cut), applied(0, running), after(time.Hour, cut), answers(200, succeeded)},
			requests: []request{now, cutAfter(60*s, s), hold, cutAfter(110*s, s*3/2)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"deadline": {
			handlers: []http.HandlerFunc{applied(0, running), applied(time.Hour, retrying), after(time.Hour, cut)},
			deadline: 20 * s,
			requests: []request{now, at(0, "wait=19"), at(19*s, "wait=1")},
			states:   "RUNNING 0, RUNNING 1", last: JobRunStatusRunning, want: context.DeadlineExceeded,
		},
		"deadline, nothing seen": {
			handlers: []http.HandlerFunc{nil},
			deadline: s * 6 / 5,
			requests: []request{now, again(s)},
			want:     context.DeadlineExceeded,
		},
		"deadline while paused": {
			handlers: []http.HandlerFunc{answers(200, running), answers(503, "", "Retry-After", "60")},
			deadline: 20 * s,
			requests: []request{now, at(s, "wait=18")},
			states:   "RUNNING 0", last: JobRunStatusRunning, want: context.DeadlineExceeded,
		},
		"404 at first": {
			handlers: []http.HandlerFunc{answers(404, "")},
			requests: []request{now},
			want:     ErrNotFound, status: 404,
		},
		"started later": {
			handlers: []http.HandlerFunc{
				answers(404, ""), answers(404, ""), nil, answers(404, ""), applied(0, running), applied(10*s, succeeded),
			},
			options:  []WaitOption{WaitForStart(30 * s)},
			requests: []request{now, again(s / 10), again(s / 5), again(s), again(2 * s / 5), hold},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"not started in time": { // asked for a last time when the time is over
			handlers: []http.HandlerFunc{answers(404, ""), answers(404, ""), after(s, answers(404, ""))},
			options:  []WaitOption{WaitForStart(s / 5)},
			requests: []request{now, again(s / 10), {s * 3 / 20, s / 10, "wait=0"}},
			want:     ErrNotFound, status: 404,
		},
		"not started, rate limit nearly used up": {
			handlers: []http.HandlerFunc{answers(404, "", limited("11", "5")...), answers(404, "", limited("10", "300")...)},
			options:  []WaitOption{WaitForStart(30 * s)},
			requests: []request{now, again(s / 10)},
			want:     ErrNotFound, status: 404,
		},
		"not started by the deadline": {
			handlers: []http.HandlerFunc{answers(404, "")},
			options:  []WaitOption{WaitForStart(time.Hour)},
			deadline: s / 8,
			requests: []request{now, again(s / 10)},
			want:     context.DeadlineExceeded,
		},
		"404, then forbidden": {
			handlers: []http.HandlerFunc{answers(404, ""), answers(403, "")},
			options:  []WaitOption{WaitForStart(30 * s)},
			requests: []request{now, again(s / 10)},
			want:     ErrForbidden, status: 403,
		},
		"started, and 404 later": {
			handlers: []http.HandlerFunc{applied(0, running), answers(404, "")},
			options:  []WaitOption{WaitForStart(30 * s)},
			requests: []request{now, hold},
			states:   "RUNNING 0", want: ErrNotFound, status: 404,
		},
		"404 later": {
			handlers: []http.HandlerFunc{applied(0, running), after(s, answers(404, ""))},
			requests: []request{now, hold},
			states:   "RUNNING 0", want: ErrNotFound, status: 404,
		},
		"500": {
			handlers: []http.HandlerFunc{applied(0, running), answers(500, "")},
			requests: []request{now, hold},
			states:   "RUNNING 0", status: 500,
		},
		"not a run": {
			handlers: []http.HandlerFunc{applied(0, running), answers(200, "<html>")},
			requests: []request{now, hold},
			states:   "RUNNING 0", status: 200,
		},
		"redirected": {
			handlers: []http.HandlerFunc{answers(302, "", "Location", "http://example.org")},
			requests: []request{now},
			status:   302,
		},
		"timeout of the http.Client": {
			handlers: []http.HandlerFunc{applied(0, running), applied(time.Hour, running), applied(10*s, succeeded)},
			timeout:  30 * s,
			requests: []request{now, at(0, "wait=22"), at(22*s, "wait=22")},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
		"a short timeout": {
			handlers: []http.HandlerFunc{applied(0, running), applied(0, running), after(s, answers(200, running)), applied(0, succeeded)},
			timeout:  s / 2,
			requests: []request{now, at(0, "wait=0"), at(s, "wait=0"), cutAfter(s/2, s*3/2)},
			states:   "RUNNING 0, SUCCESS 2", last: JobRunStatusSuccess,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := deadline(t, tt.deadline)
				var asked int
				var states []string
				last := time.Now()
				begin := last
				c := newClient(t, "http://example.com", script(&asked, tt.handlers...), WithMaxRetries(7))
				c.http.Timeout = tt.timeout
				c.http.Transport = watched(c.http.Transport, func(r *http.Request) {
					if asked >= len(tt.requests) {
						t.Errorf("request %d, %v after the one before", asked, time.Since(last))
						return
					}
					want, took := tt.requests[asked], time.Since(last)
					if prefer := r.Header.Get("Prefer"); took < want.least || took > want.most || prefer != want.prefer {
						t.Errorf("request %d after %v, with Prefer: %s; want %+v", asked, took, prefer, want)
					}
					last = time.Now()
				})
				onState := OnState(func(run *JobRun) {
					states = append(states, fmt.Sprintf("%s %d", run.Status, run.Completions))
				})
				run, resp, err := c.WaitForJobRun(ctx, documentedRef, append(tt.options, onState)...)
				if asked != len(tt.requests) {
					t.Errorf("%d requests, want %d", asked, len(tt.requests))
				}
				if diff := cmp.Diff(tt.states, strings.Join(states, ", ")); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				if tt.last == "" != (run == nil) || run != nil && (run.Status != tt.last || resp == nil) {
					t.Errorf("run %v, response %v; want %q", run, resp, tt.last)
				}
				if (tt.want != nil || tt.status == 0) && !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				apiErr := (*Error)(nil)
				if errors.As(err, &apiErr) != (tt.status != 0) ||
					tt.status != 0 && (apiErr.Status != tt.status || resp == nil) {
					t.Errorf("error %v, response %v; want the status %d", err, resp, tt.status)
				}
				if took := time.Since(begin); tt.deadline != 0 && took != tt.deadline {
					t.Errorf("it took %v, want %v", took, tt.deadline)
				}
			})
		})
	}
}

// watched is a transport that shows each request before it is made.
func watched(next http.RoundTripper, watch func(*http.Request)) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		watch(r)
		return next.RoundTrip(r)
	})
}

// TestWaitTellsTrouble has the time of each try run out: an error that is another context's.
func TestWaitTellsTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		var asked int
		c := newClient(t, "http://example.com", script(&asked, after(time.Minute, cut)))
		c.http.Timeout = 2 * time.Second
		run, resp, err := c.WaitForJobRun(ctx, documentedRef)
		if run != nil || resp != nil || !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "context canceled; the last request failed: Get ") {
			t.Errorf("%v, %v, %v", run, resp, err)
		}
	})
}

func TestPace(t *testing.T) {
	const s = time.Second
	for name, tt := range map[string]struct {
		pause, took time.Duration
		limit       RateLimit
		want        time.Duration
	}{
		"no limit":                {s, 0, RateLimit{}, s},
		"plenty":                  {s, 0, RateLimit{1000, 999, 3600 * s}, s},
		"plenty, held":            {0, 50 * s, RateLimit{1000, 999, 3600 * s}, 0},
		"lasts for every 15 s":    {s, 0, RateLimit{1000, 340, 3600 * s}, s},
		"does not":                {s, 0, RateLimit{1000, 300, 3600 * s}, 18 * s},
		"does not, but was held":  {0, 10 * s, RateLimit{1000, 300, 3600 * s}, 8 * s},
		"does, having been held":  {0, 50 * s, RateLimit{1000, 300, 3600 * s}, 0},
		"a longer pause":          {30 * s, 0, RateLimit{1000, 300, 3600 * s}, 30 * s},
		"one to spare":            {s, 0, RateLimit{1000, 101, 3600 * s}, 3600 * s},
		"the last tenth":          {s, 0, RateLimit{1000, 100, 3600 * s}, 3600 * s},
		"the last tenth, held":    {0, 50 * s, RateLimit{1000, 100, 3600 * s}, 3600 * s},
		"in the last tenth":       {s, 0, RateLimit{1000, 3, 3600 * s}, 3600 * s},
		"used up":                 {s, 0, RateLimit{1000, 0, 3600 * s}, 3600 * s},
		"used up, no reset":       {0, 50 * s, RateLimit{1000, 0, 0}, s},
		"a tenth is rounded up":   {s, 0, RateLimit{15, 2, 60 * s}, 60 * s},
		"a small window":          {s, 0, RateLimit{5, 2, 60 * s}, 60 * s},
		"a window of one":         {s, 0, RateLimit{1, 0, 60 * s}, 60 * s},
		"about to end":            {s, 0, RateLimit{1000, 101, 0}, s},
		"more than an int tenths": {s, 0, RateLimit{1<<63 - 1, 1<<63 - 1, 60 * s}, s},
	} {
		if got := pace(tt.pause, tt.took, tt.limit); got != tt.want {
			t.Errorf("%s: pace(%v, %v, %+v) = %v, want %v", name, tt.pause, tt.took, tt.limit, got, tt.want)
		}
	}
}

func TestAppliedWait(t *testing.T) {
	for _, tt := range []struct {
		headers []string
		want    time.Duration
		known   bool
	}{
		{nil, 0, false},
		{[]string{"wait=60"}, time.Minute, true},
		{[]string{`return=minimal , WAIT = "5"`}, 5 * time.Second, true},
		{[]string{"respond-async", "wait=5"}, 5 * time.Second, true},
		{[]string{"wait"}, 0, false},
		{[]string{"wait=-1"}, 0, false},
		{[]string{"waiting=5"}, 0, false},
	} {
		got, known := appliedWait(http.Header{"Preference-Applied": tt.headers})
		if got != tt.want || known != tt.known {
			t.Errorf("appliedWait(%q) = %v, %v; want %v, %v", tt.headers, got, known, tt.want, tt.known)
		}
	}
}
