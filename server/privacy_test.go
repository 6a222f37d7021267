package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server/jobrun"
)

// A waiting request is refused soon after its token has become invalid, not when the run concludes.
func TestWaitIsOverWhenTheTokenBecomesInvalid(t *testing.T) {
	revoke := func(a *api, hash jobrun.TokenHash) {
		a.store.mu.Lock()
		defer a.store.mu.Unlock()
		a.store.revision++
		delete(a.store.tokens, hash)
	}
	const away = "store away for a while"
	for name, test := range map[string]struct {
		change func(*api, jobrun.TokenHash) // after 15 seconds
		want   int
		least  time.Duration
	}{
		"valid":   {func(a *api, _ jobrun.TokenHash) { a.store.concluded <- exampleRun(t) }, 200, 15 * time.Second},
		"revoked": {revoke, 401, 15 * time.Second},
		"expired": {func(*api, jobrun.TokenHash) {}, 401, 30 * time.Second},
		"revoked when the run concludes": {func(a *api, hash jobrun.TokenHash) {
			revoke(a, hash)
			a.store.concluded <- exampleRun(t)
		}, 401, 15 * time.Second},
		away: {func(a *api, _ jobrun.TokenHash) {
			a.change(nil) // so that the token is looked up
			time.Sleep(5 * time.Second)
			a.store.concluded <- exampleRun(t)
		}, 200, 20 * time.Second},
	} {
		for _, memory := range []int{0, 1 << 20} {
			for offset := range 5 { // the moment of the change, between two checks, differs
				t.Run(fmt.Sprint(name, " ", memory, " ", offset), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						status, waited := waitUntilTheTokenIsInvalid(t, memory, offset, name == away, test.change)
						if status != test.want || waited < test.least || waited > test.least+time.Second {
							t.Errorf("the status is %d after %s, want %d within a second after %s",
								status, waited, test.want, test.least)
						}
					})
				})
			}
		}
	}
}

// waitUntilTheTokenIsInvalid waits for the example run with a token that expires after 30 seconds,
// and calls change after 15. The store can be away around that time.
func waitUntilTheTokenIsInvalid(
	t *testing.T, memory, offset int, away bool, change func(*api, jobrun.TokenHash),
) (status int, waited time.Duration) {
	a, _ := newRunningAPI(t)
	a.store.left = nil
	if memory > 0 {
		a.remember()
	}
	secret, hash := jobrun.NewSecret()
	token := allowed()
	begin := time.Now()
	token.ExpiresAt = ptr(begin.Add(30 * time.Second))
	a.store.tokens[hash] = token
	a.store.onToken = func() error {
		if at := time.Since(begin); away && at > 14*time.Second && at < 19*time.Second {
			return jobrun.ErrUnavailable
		}
		return nil
	}
	go func() {
		time.Sleep(15 * time.Second)
		change(a, hash)
	}()
	time.Sleep(time.Duration(offset) * 43 * time.Millisecond)
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, heldRequest(t, runPath(t, exampleKey), secret))
	return recorder.Code, time.Since(begin)
}

// No cache may keep what a token lets its bearer see, or an error, for others.
func TestResponsesAreNotForSharedCaches(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		a, secret := newFilledAPI(t)
		for _, token := range []string{secret, "", "unknown"} {
			for _, values := range []map[string]string{nil, malformedValues(o)} {
				got := a.ask(o, values, token)
				wantHeaders(
					t,
					got.header,
					map[string]string{"Cache-Control": "private, no-store", "Vary": "Authorization"},
				)
			}
		}
	})
	a, secret := newFilledAPI(t)
	for path, method := range map[string]string{"/v1/nothing": http.MethodGet, "/": http.MethodPost, "/v1/login": http.MethodPost} {
		wantHeaders(t, a.do(method, path, secret).header, map[string]string{"Cache-Control": "private, no-store"})
	}
}

// The log says what a valid request was about, and nothing that was not checked.
func TestLogSaysWhatARequestWasAbout(t *testing.T) {
	a, secret := newFilledAPI(t)
	mistake, _ := jobrun.NewSecret()
	path := func(project, job, run string) string {
		return "/v1/projects/" + project + "/jobs/" + job + "/runs/" + run
	}
	other := a.token(
		jobrun.Token{
			Name:        "other",
			Teams:       []string{"team"},
			Projects:    []string{"other"},
			Permissions: everyPermission(),
		},
	)
	for _, test := range []struct {
		name, path, secret string
		want               map[string]string
	}{
		{"a run", runPath(t, exampleKey), secret, map[string]string{"team": "team", "project": exampleKey.Project, "job": exampleKey.Job, "run": exampleKey.Run}},
		{"no such run", path("p", "j", "r"), secret, map[string]string{"team": "team", "project": "p", "job": "j", "run": "r"}},
		{"a list", "/v1/projects/" + exampleKey.Project + "/jobs", secret, map[string]string{"team": "team", "project": exampleKey.Project}},
		{"a token by mistake", path("p", "j", mistake), secret, map[string]string{"team": "team", "project": "p", "job": "j"}},
		{"no token", path("p", "j", "r"), "", map[string]string{}},
		{"malformed", path("p", "j", "-r"), secret, map[string]string{}},
		{"forbidden", path("p", "j", "r"), other, map[string]string{}},
		{"about nothing", "/v1/login", secret, map[string]string{}},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		if test.secret != "" {
			r.Header.Set("Authorization", "Bearer "+test.secret)
		}
		a.handler.ServeHTTP(httptest.NewRecorder(), r)
		var line map[string]any
		if err := json.Unmarshal([]byte(a.log.take()), &line); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, key := range []string{"team", "project", "job", "run"} {
			if value, ok := line[key].(string); ok {
				got[key] = value
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
