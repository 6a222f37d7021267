package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/jobrun"
)

func TestParseRateLimit(t *testing.T) {
	for s, want := range map[string]auth.RateLimit{
		"0":                {},
		"1/1s":             {Requests: 1, Window: time.Second},
		"50/10s":           {Requests: 50, Window: 10 * time.Second},
		"1000/1h":          {Requests: 1000, Window: time.Hour},
		"90/1h30m":         {Requests: 90, Window: 90 * time.Minute},
		"90/1h0m30s":       {Requests: 90, Window: time.Hour + 30*time.Second},
		"5/10m":            {Requests: 5, Window: 10 * time.Minute},
		"5/10h":            {Requests: 5, Window: 10 * time.Hour},
		"2147483647/1.5s":  {Requests: 1<<31 - 1, Window: 1500 * time.Millisecond},
		"1/2562047h47m16s": {Requests: 1, Window: 2562047*time.Hour + 47*time.Minute + 16*time.Second},
	} {
		got, err := auth.ParseRateLimit(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%q: %+v %v, want %+v; written %q", s, got, err, want, got)
		}
	}
	for _, s := range []string{
		"", "/", "1000", "1000/", "/1h", "1000/h", "1000/3600", "0/1h", "-1/1h", "+1/1h", "1.5/1h", "1e3/1h", "1000/0s", "1000/-1h",
		"1000/999ms", "1000/1h/1h", " 1000/1h", "1000/ 1h", "1000 / 1h", "00", "0/0s", "2147483648/1h", "1/2562048h", "nonsense",
	} {
		limit := auth.RateLimit{Requests: 7, Window: time.Hour}
		err := limit.Set(s)
		if want := "rate limit " + strconv.Quote(
			s,
		) + ": must be requests/time, such as 1000/1h, of at least 1/1s, or 0 for no limit"; err == nil ||
			err.Error() != want {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
		if limit.String() != "7/1h" {
			t.Errorf("%q: the limit became %s", s, limit)
		}
	}
}

func TestNewRefusesRateLimit(t *testing.T) {
	a := newAPI(t)
	for _, limit := range []auth.RateLimit{{Requests: 1}, {Window: time.Hour}, {Requests: -1, Window: time.Hour}, {Requests: 1, Window: 1}} {
		if _, err := server.New(a.store, a.logger, server.Options{RateLimit: limit}); err == nil {
			t.Errorf("%+v is accepted", limit)
		}
	}
}

// newLimitedAPI returns an api that has the example run and a rate limit, and the secret of a token
// that may see the run.
func newLimitedAPI(t testing.TB, limit string) (*api, string) {
	t.Helper()
	a, secret := newFilledAPI(t)
	a.limit(limit)
	return a, secret
}

// limit gives the api a rate limit.
func (a *api) limit(limit string) {
	a.Helper()
	var options server.Options
	err := options.RateLimit.Set(limit)
	if err != nil {
		a.Fatal(err)
	}
	if a.handler, err = server.New(a.store, a.logger, options); err != nil {
		a.Fatal(err)
	}
}

// wantLimit checks what a response says of the rate limit: nothing, or the limit, what remains, and
// the reset.
func wantLimit(t testing.TB, got answer, want ...string) {
	t.Helper()
	var has []string
	for _, name := range []string{"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} {
		has = append(has, got.header.Values(name)...)
	}
	if diff := cmp.Diff(want, has); diff != "" {
		t.Errorf("status %d, limit, remaining and reset (-want +got):\n%s", got.status, diff)
	}
}

// wantLater checks a response that says when to come back, in seconds.
func wantLater(t testing.TB, got answer, after, message string) {
	t.Helper()
	if got.status != http.StatusTooManyRequests || got.err.Message != message {
		t.Errorf("%d %q, want 429 %q", got.status, got.err.Message, message)
	}
	if diff := cmp.Diff([]string{after}, got.header.Values("Retry-After")); diff != "" {
		t.Errorf("Retry-After (-want +got):\n%s", diff)
	}
}

func TestRateLimit(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		if o.Operation.RequestBody != nil {
			return // see TestRecordLimit
		}
		synctest.Test(t, func(t *testing.T) {
			a, secret := newLimitedAPI(t, "3/1h")
			time.Sleep(30 * time.Minute) // until the first request there is no window
			ask := func(status int, limit ...string) answer {
				t.Helper()
				got := a.ask(o, nil, secret)
				a.want(got, o.expects(status))
				wantLimit(t, got, limit...)
				return got
			}
			const usedUp = `the token "ci" has used up its requests: 3/1h`
			ask(200, "3", "2", "3600")
			time.Sleep(10 * time.Minute)
			ask(200, "3", "1", "3000")
			time.Sleep(time.Millisecond)
			ask(200, "3", "0", "3000")
			wantLater(t, ask(429, "3", "0", "3000"), "3000", usedUp)
			time.Sleep(49*time.Minute + 59*time.Second)
			wantLater(t, ask(429, "3", "0", "1"), "1", usedUp)
			time.Sleep(time.Second - 2*time.Millisecond)
			wantLater(t, ask(429, "3", "0", "1"), "1", usedUp)

			other := allowed()
			other.Name = "other"
			wantLimit(t, a.ask(o, nil, a.token(other)), "3", "2", "3600")

			// What is refused neither counts nor puts the end off.
			time.Sleep(time.Millisecond)
			ask(200, "3", "2", "3600")
		})
	})
}

func TestNoRateLimit(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		a, secret := newLimitedAPI(t, "0")
		for range 100 {
			got := a.ask(o, nil, secret)
			a.want(got, o.success)
			wantLimit(t, got)
		}
	})
}

// The headers are on every response to a valid token, which every response counts for, and on no other.
func TestRateLimitOfEveryAnswer(t *testing.T) {
	run := operationOf(t, "getJobRun")
	tests := []struct {
		name, method, path string
		change             func(*jobrun.Token)
		onRun, onToken     func() error
		want               int
		counts             bool
	}{
		{name: "run", path: run.path(nil), want: 200, counts: true},
		{name: "HEAD", method: "HEAD", path: run.path(nil), want: 200, counts: true},
		{name: "login", path: "/v1/login", want: 200, counts: true},
		{name: "malformed", path: malformed(run), want: 400, counts: true},
		{
			name:   "several teams",
			path:   run.path(nil),
			change: func(t *jobrun.Token) { t.Teams = []string{"a", "b"} },
			want:   400,
			counts: true,
		},
		{
			name:   "no permission",
			path:   run.path(nil),
			change: func(t *jobrun.Token) { t.Permissions = nil },
			want:   403,
			counts: true,
		},
		{
			name:   "another project",
			path:   run.path(nil),
			change: func(t *jobrun.Token) { t.Projects = []string{"p"} },
			want:   403,
			counts: true,
		},
		{name: "no run", path: runPath(t, keyWith(exampleKey, "runId", "missing")), want: 404, counts: true},
		{
			name:   "trouble",
			path:   run.path(nil),
			onRun:  func() error { return errors.New(inside) },
			want:   500,
			counts: true,
		},
		{name: "a panic", path: run.path(nil), onRun: func() error { panic(inside) }, want: 500, counts: true},
		{
			name:   "no store",
			path:   run.path(nil),
			onRun:  func() error { return jobrun.ErrUnavailable },
			want:   503,
			counts: true,
		},
		{
			name:   "expired",
			path:   run.path(nil),
			change: func(t *jobrun.Token) { t.ExpiresAt = new(time.Unix(1, 0)) },
			want:   401,
		},
		{name: "no tokens", path: run.path(nil), onToken: func() error { return jobrun.ErrUnavailable }, want: 503},
		{name: "another method", method: "POST", path: run.path(nil), want: 405},
		{name: "no path", path: "/v1/unknown", want: 404},
		{name: "beyond a path", path: run.path(nil) + "/logs", want: 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := newLimitedAPI(t, "10/1m")
				token := allowed()
				if test.change != nil {
					test.change(&token)
				}
				secret := a.token(token)
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				for _, remaining := range []string{"9", "8"} {
					a.store.onRun, a.store.onToken = test.onRun, test.onToken
					got := a.do(method, test.path, secret)
					a.want(got, test.want)
					if test.counts {
						wantLimit(t, got, "10", remaining, "60")
					} else {
						wantLimit(t, got)
					}
				}
			})
		})
	}
}

// Who has used up the requests is told nothing else, and nothing is looked up.
func TestRateLimitComesFirst(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		if o.Operation.RequestBody != nil {
			return // see TestRecordLimit
		}
		a, _ := newLimitedAPI(t, "1/1h")
		token := allowed()
		token.Permissions = nil
		secret := a.token(token)
		a.get("/v1/login", secret)
		for _, values := range []map[string]string{nil, malformedValues(o)} {
			got := a.ask(o, values, secret)
			a.want(got, 429)
			if line := got.log[len(got.log)-1]; line.Level != "INFO" || line.Token != "ci" {
				t.Errorf("the log does not tell the token: %+v", line)
			}
		}
	})
}

// A response that is held counts once, and says what is left when it comes.
func TestRateLimitOfHeldAnswer(t *testing.T) {
	for limit, want := range map[string][]string{
		"10/1h":  {"10", "8", "3545"},
		"10/56s": {"10", "8", "1"},
		"10/55s": {"10", "10", "55"}, // the next request opens another window
		"10/54s": {"10", "10", "54"},
	} {
		t.Run(limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newRunningAPI(t)
				a.limit(limit)
				go func() {
					time.Sleep(time.Second)
					ask := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
					ask.Header.Set("Authorization", "Bearer "+secret)
					a.handler.ServeHTTP(httptest.NewRecorder(), ask)
				}()
				begin := time.Now()
				recorder := httptest.NewRecorder()
				a.handler.ServeHTTP(recorder, heldRequest(t, runPath(t, exampleKey), secret))
				if held := time.Since(begin); held != 55*time.Second {
					t.Errorf("held for %s", held)
				}
				wantLimit(t, answer{status: recorder.Code, header: recorder.Result().Header}, want...)
			})
		})
	}
}
