package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// roundTripper is a transport without a network, so that time can be the test's own.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// script is a transport that responds with one handler after the other, and with the last one ever
// after. A nil handler is a broken connection.
func script(asked *int, handlers ...http.HandlerFunc) Option {
	return WithHTTPClient(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		handler := handlers[min(*asked, len(handlers)-1)]
		*asked++
		if handler == nil {
			return nil, net.ErrClosed
		}
		rec := httptest.NewRecorder()
		handler(rec, req)
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		resp := rec.Result()
		if resp.ContentLength > int64(rec.Body.Len()) {
			resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
		}
		resp.Request = req
		return resp, nil
	})})
}

func TestRetry(t *testing.T) {
	ok := answers(200, documented)
	truncated := func(w http.ResponseWriter, r *http.Request) {
		answers(200, documented[:100], "Content-Length", "500")(w, r) // the body then fails
	}
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	dated := func(w http.ResponseWriter, r *http.Request) {
		answers(503, "", "Retry-After", in(20*time.Second))(w, r)
	}
	past := func(w http.ResponseWriter, r *http.Request) { answers(503, "", "Retry-After", in(-time.Hour))(w, r) }
	const backoffs = 1500 * time.Millisecond // four of them: 100, 200, 400 and 800 ms, or down to half of that

	for name, tt := range map[string]struct {
		handlers []http.HandlerFunc
		deadline time.Duration // none if 0
		opts     []Option
		asked    int
		min, max time.Duration // that it takes
		want     error         // nil for a run
		status   int           // of the error
	}{
		"no need":               {handlers: []http.HandlerFunc{ok}, asked: 1},
		"429":                   {handlers: []http.HandlerFunc{answers(429, ""), ok}, asked: 2, min: backoffs / 30, max: backoffs / 15},
		"502 503 504":           {handlers: []http.HandlerFunc{answers(502, ""), answers(503, ""), answers(504, ""), ok}, asked: 4, min: 350 * time.Millisecond, max: 700 * time.Millisecond},
		"broken":                {handlers: []http.HandlerFunc{nil, ok}, asked: 2, max: backoffs},
		"not 500":               {handlers: []http.HandlerFunc{answers(500, ""), ok}, asked: 1, status: 500},
		"not 501":               {handlers: []http.HandlerFunc{answers(501, ""), ok}, asked: 1, status: 501},
		"not 404":               {handlers: []http.HandlerFunc{answers(404, ""), ok}, asked: 1, status: 404, want: ErrNotFound},
		"503 for good":          {handlers: []http.HandlerFunc{answers(503, "")}, asked: 5, status: 503, min: backoffs / 2, max: backoffs},
		"broken for good":       {handlers: []http.HandlerFunc{nil}, asked: 5, want: net.ErrClosed, min: backoffs / 2, max: backoffs},
		"truncated":             {handlers: []http.HandlerFunc{truncated, ok}, asked: 2, max: backoffs},
		"too large":             {handlers: []http.HandlerFunc{answers(200, strings.Repeat(" ", maxBody+1)), ok}, asked: 1, want: errTooLarge},
		"seconds":               {handlers: []http.HandlerFunc{answers(429, "", "Retry-After", "30", "X-Ratelimit-Reset", "40"), ok}, asked: 2, min: 30 * time.Second, max: 30 * time.Second},
		"date":                  {handlers: []http.HandlerFunc{dated, ok}, asked: 2, min: 19 * time.Second, max: 20 * time.Second},
		"date in the past":      {handlers: []http.HandlerFunc{past, ok}, asked: 2},
		"nonsense":              {handlers: []http.HandlerFunc{answers(503, "", "Retry-After", "-5"), ok}, asked: 2, max: backoffs},
		"reset":                 {handlers: []http.HandlerFunc{answers(429, "", "X-Ratelimit-Reset", "40"), ok}, asked: 2, min: 40 * time.Second, max: 40 * time.Second},
		"reset without 429":     {handlers: []http.HandlerFunc{answers(503, "", "X-Ratelimit-Reset", "40"), ok}, asked: 2, max: backoffs},
		"a minute":              {handlers: []http.HandlerFunc{answers(429, "", "Retry-After", "60"), ok}, asked: 2, min: time.Minute, max: time.Minute},
		"more than a minute":    {handlers: []http.HandlerFunc{answers(429, "", "Retry-After", "61"), ok}, asked: 1, status: 429, want: ErrRateLimited},
		"an eternity":           {handlers: []http.HandlerFunc{answers(429, "", "X-Ratelimit-Reset", "99999999999999999999"), ok}, asked: 1, status: 429, want: ErrRateLimited},
		"within the deadline":   {handlers: []http.HandlerFunc{answers(429, "", "Retry-After", "600"), ok}, deadline: time.Hour, asked: 2, min: 10 * time.Minute, max: 10 * time.Minute},
		"past the deadline":     {handlers: []http.HandlerFunc{answers(429, "", "Retry-After", "6"), ok}, deadline: 5 * time.Second, asked: 1, status: 429, want: ErrRateLimited},
		"no time for a backoff": {handlers: []http.HandlerFunc{answers(503, ""), ok}, deadline: 49 * time.Millisecond, asked: 1, status: 503},
		"never":                 {handlers: []http.HandlerFunc{answers(503, ""), ok}, opts: []Option{WithMaxRetries(0)}, asked: 1, status: 503},
		"often":                 {handlers: []http.HandlerFunc{nil}, opts: []Option{WithMaxRetries(20)}, asked: 21, want: net.ErrClosed, min: 38 * time.Second, max: 77 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := deadline(t, tt.deadline)
				var asked int
				start := time.Now()
				c := newClient(t, "http://example.com", append(tt.opts, script(&asked, tt.handlers...))...)
				run, _, err := c.GetJobRun(ctx, documentedRef)
				if took := time.Since(start); asked != tt.asked || took < tt.min || took > tt.max {
					t.Errorf("asked %d times in %v; want %d in %v to %v", asked, took, tt.asked, tt.min, tt.max)
				}
				failed := tt.want != nil || tt.status != 0
				if (err != nil) != failed || (run == nil) != failed {
					t.Fatalf("run %v, error %v", run, err)
				}
				if tt.want != nil &&
					(!errors.Is(err, tt.want) || !strings.Contains(err.Error(), "http://example.com/v1/")) {
					t.Errorf("error %v, want %v and the URL", err, tt.want)
				}
				if apiErr := (*Error)(nil); tt.status != 0 && (!errors.As(err, &apiErr) || apiErr.Status != tt.status) {
					t.Errorf("error %v, want an *Error with the status %d", err, tt.status)
				}
			})
		})
	}
}

func TestRetryNeedsIdempotentMethod(t *testing.T) {
	for method, tries := range map[string]int{"GET": 5, "PUT": 5, "POST": 1, "DELETE": 1} {
		for name, handler := range map[string]http.HandlerFunc{"broken": nil, "503": answers(503, "")} {
			synctest.Test(t, func(t *testing.T) {
				var asked int
				c := newClient(t, "http://example.com", script(&asked, handler))
				req, err := http.NewRequest(method, "http://example.com/v1", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				if _, _ = c.send(req); asked != tries {
					t.Errorf("%s, %s: sent %d times, want %d", method, name, asked, tries)
				}
			})
		}
	}
}

// TestConnections has the server count the connections that it gets, and break those of the
// requests to come.
func TestConnections(t *testing.T) {
	var opened, requests, broken atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case broken.Load() > 0:
			broken.Add(-1)
			panic(http.ErrAbortHandler)
		case n%2 == 1:
			answers(503, strings.Repeat("busy ", 500), "Retry-After", "0")(w, r)
		default:
			answers(200, documented+strings.Repeat(" ", 100_000))(w, r)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL)
	get := func(t *testing.T) {
		t.Helper()
		_, resp, err := c.GetJobRun(t.Context(), documentedRef)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	for range 5 {
		get(t)
	}
	if opened.Load() != 1 || requests.Load() != 10 {
		t.Errorf("%d connections for %d requests; want 1 for 10", opened.Load(), requests.Load())
	}
	broken.Store(2) // net/http retries the first of them by itself, having had the connection from before
	get(t)
	if broken.Load() != 0 || opened.Load() < 3 {
		t.Errorf("%d connections, %d more to be broken", opened.Load(), broken.Load())
	}
}

// deadline returns a context that ends after d, or with the test if that is 0.
func deadline(t *testing.T, d time.Duration) context.Context {
	if d == 0 {
		return t.Context()
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestProxyThatWantsPasswordIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	for _, server := range []string{"https://api.invalid", "http://api.invalid"} {
		asked.Store(0)
		c, err := New(server, WithToken("token"))
		if err != nil {
			t.Fatal(err)
		}
		proxyURL, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport.(*http.Transport).Proxy = http.ProxyURL(proxyURL)
		_, _, err = c.GetJobRun(t.Context(), documentedRef)
		if !errors.Is(err, ErrProxyPassword) || asked.Load() != 1 {
			t.Errorf("%s: %v after %d requests, want ErrProxyPassword after 1", server, err, asked.Load())
		}
	}
}
