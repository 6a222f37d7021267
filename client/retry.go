package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// patience is the longest wait where the context has no deadline.
	patience = time.Minute
)

// worthRetrying are the statuses that may be another one in a moment. 500 is not among them: the
// server is broken.
var worthRetrying = []int{
	http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// repeatable are the operations besides GET and HEAD that may be sent again, as patterns of
// [http.ServeMux]: those that the document marks with x-idempotent. A test compares the two.
var repeatable = []string{
	"PUT /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}",
	"PUT /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}",
}

// patterns returns a mux that knows the operations below the base URL.
func patterns(operations []string, baseURL string) *http.ServeMux {
	mux := http.NewServeMux()
	base, err := url.Parse(baseURL)
	if err != nil {
		return mux // New has checked it
	}
	for _, operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		mux.Handle(method+" "+strings.TrimRight(base.Path, "/")+path, http.NotFoundHandler())
	}
	return mux
}

// repeats reports whether a request may be sent again although it may have had an effect (RFC 9110,
// section 9.2.2).
func (c *Client) repeats(req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return true
	}
	_, pattern := c.repeatable.Handler(req)
	return pattern != ""
}

// tries decides about the tries of one request.
type tries struct {
	made, left int
	wait       time.Duration // before the next one
}

// check is a [retryablehttp.CheckRetry]. Having decided against another try, it may be asked about
// the same response again.
func (t *tries) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if t.left <= 0 || !temporary(ctx, resp, err) {
		return false, nil
	}
	now := time.Now()
	wait, asked := askedWait(resp, now)
	if !asked {
		wait = jitter(min(firstBackoff<<min(t.made, 10), maxBackoff))
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

// jitter takes up to half away, so that callers that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// temporary reports whether the same request may go better in a moment.
func temporary(ctx context.Context, resp *http.Response, err error) bool {
	if err == nil {
		return slices.Contains(worthRetrying, resp.StatusCode)
	}
	var alert tls.AlertError
	var refused *url.Error // together with a response it is a redirect that was refused
	if errors.Is(err, errTooLarge) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.Is(err, ErrProxyPassword) || errors.As(err, &alert) ||
		resp != nil && errors.As(err, &refused) {
		return false
	}
	again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err) // its error is the context's, which err says already
	return again
}

// askedWait is how long the server wants to be left alone, and whether it said so: Retry-After, in
// seconds or a date, or with 429 x-ratelimit-reset. The response is nil if there was none.
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

// parseSeconds reads a number of seconds that is not negative. What a [time.Duration] cannot hold
// is a century.
func parseSeconds(s string) (time.Duration, bool) {
	const century = 100 * 365 * 24 * 60 * 60
	if s == "" {
		return 0, false // without an error, which would take memory
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(n, century)) * time.Second, true
}
