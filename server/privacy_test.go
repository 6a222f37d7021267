package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server/jobrun"
)

// A response that comes long after its request is for a token that is still valid.
func TestHeldResponseIsForAValidToken(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*api, jobrun.TokenHash)
		want int
	}{
		"valid":   {func(*api, jobrun.TokenHash) {}, 200},
		"revoked": {func(a *api, hash jobrun.TokenHash) { a.change(nil); delete(a.store.tokens, hash) }, 401},
		"expired": {func(*api, jobrun.TokenHash) { time.Sleep(20 * time.Second) }, 401},
	} {
		for _, memory := range []int{0, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, _ := newRunningAPI(t)
					if memory > 0 {
						a.remember()
					}
					secret, hash := jobrun.NewSecret()
					token := allowed()
					token.ExpiresAt = ptr(time.Now().Add(30 * time.Second))
					a.store.tokens[hash] = token
					recorder := httptest.NewRecorder()
					done := make(chan struct{})
					go func() {
						defer close(done)
						a.handler.ServeHTTP(recorder, heldRequest(t, runPath(t, exampleKey), secret))
					}()
					time.Sleep(15 * time.Second)
					test.end(a, hash)
					a.store.concluded <- exampleRun(t)
					<-done
					if recorder.Code != test.want {
						t.Errorf("the status is %d, want %d: %s", recorder.Code, test.want, recorder.Body)
					}
				})
			})
		}
	}
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
