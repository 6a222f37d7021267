package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// patience bounds a wait if the context has no deadline.
	patience = time.Minute
)

// worthRetrying has the statuses that may change in a moment. 500 is not among them, because such a
// server is broken.
var worthRetrying = []int{
	http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// idempotent reports whether a request with the method may be sent again after it may have had an
// effect (RFC 9110, section 9.2.2). A test compares this with x-idempotent in the document.
func idempotent(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodPut
}

// tries decides about the tries of one request.
type tries struct {
	made, left int
	wait       time.Duration // before the next one
}

// check is a [retryablehttp.CheckRetry]. After a decision against another try, the library calls it
// once more with the same response.
func (t *tries) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if t.left <= 0 || err == nil && !slices.Contains(worthRetrying, resp.StatusCode) ||
		err != nil && !temporary(ctx, err) {
		return false, nil
	}
	now := time.Now()
	wait, asked := askedWait(resp, now)
	if !asked {
		wait = backoff(t.made)
	}
	limit := patience
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline.Sub(now)
	}
	if wait > limit {
		return false, nil
	}
	t.made, t.left, t.wait = t.made+1, t.left-1, wait
	return true, nil
}

// backoff is a [retryablehttp.Backoff].
func (t *tries) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return t.wait }

// backoff returns the pause after n failures.
func backoff(n int) time.Duration { return jitter(min(firstBackoff<<min(n, 10), maxBackoff)) }

// jitter shortens a pause by up to half, so that callers that failed together do not return
// together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// temporary reports whether the same request may succeed in a moment.
func temporary(ctx context.Context, err error) bool {
	if apiErr := (*Error)(nil); errors.As(err, &apiErr) {
		return slices.Contains(worthRetrying, apiErr.Status)
	}
	for _, permanent := range []error{errTooLarge, http.ErrSchemeMismatch, ErrProxyPassword} {
		if errors.Is(err, permanent) {
			return false
		}
	}
	if errors.As(err, new(tls.AlertError)) {
		return false
	}
	again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err) // its error repeats err
	return again
}

// askedWait returns the pause that a response demands before the next request, and whether it
// demands one: by Retry-After, in seconds or a date, or with 429 by x-ratelimit-reset. The response
// may be nil.
func askedWait(resp *http.Response, now time.Time) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	after := resp.Header.Get("Retry-After")
	if wait, ok := parseSeconds(after); ok {
		return wait, true
	}
	if date, err := http.ParseTime(after); err == nil {
		return max(0, date.Sub(now)), true
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		return parseSeconds(resp.Header.Get("X-Ratelimit-Reset"))
	}
	return 0, false
}

// parseSeconds reads a number of seconds that is not negative. It reduces what a [time.Duration]
// cannot hold to a century.
func parseSeconds(s string) (time.Duration, bool) {
	const century = 100 * 365 * 24 * 60 * 60
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(n, century)) * time.Second, true
}
