package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jobruns/jobruns/server/jobrun"
)

func TestRequestLine(t *testing.T) {
	a, secret := newFilledAPI(t)
	run := runPath(t, exampleKey)
	tests := []struct {
		name, method, path, secret string
		want                       logLine
	}{
		{
			"answered",
			"GET",
			run,
			secret,
			logLine{Level: "INFO", Status: 200, Method: "GET", Operation: "getJobRun", Token: "ci"},
		},
		{
			"HEAD",
			"HEAD",
			run,
			secret,
			logLine{Level: "INFO", Status: 200, Method: "HEAD", Operation: "getJobRun", Token: "ci"},
		},
		{"not found", "GET", runPath(t, keyWith(exampleKey, "runId", "missing")), secret, logLine{
			Level: "INFO", Status: 404, Method: "GET", Operation: "getJobRun", Token: "ci", Error: "not found",
		}},
		{"no token", "GET", run, "", logLine{
			Level: "INFO", Status: 401, Method: "GET", Operation: "getJobRun",
			Error: `no token: send one header "Authorization: Bearer TOKEN"`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a.TB = t
			got := a.do(test.method, test.path, test.secret)
			test.want.Msg, test.want.ID = "request", got.header.Get("X-Request-Id")
			if diff := cmp.Diff([]logLine{test.want}, got.log); diff != "" {
				t.Errorf("the log (-want +got):\n%s", diff)
			}
		})
	}
}

// A token pasted into the wrong place must not end in the log either, nor where traces are kept.
// The api looks for it in the log after every request.
func TestSecretInWrongPlace(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *http.Request, secret string)
	}{
		{"another scheme", func(r *http.Request, s string) { r.Header.Set("Authorization", "Basic "+s) }},
		{"no scheme", func(r *http.Request, s string) { r.Header.Set("Authorization", s) }},
		{"twice", func(r *http.Request, s string) { r.Header.Add("Authorization", "Bearer "+s) }},
		{"request id", func(r *http.Request, s string) { r.Header.Set("X-Request-Id", s) }},
		{"forwarded for", func(r *http.Request, s string) { r.Header.Set("X-Forwarded-For", s) }},
		{"real ip", func(r *http.Request, s string) { r.Header.Set("X-Real-Ip", s) }},
		{"user agent", func(r *http.Request, s string) { r.Header.Set("User-Agent", s) }},
		{"host", func(r *http.Request, s string) { r.Host = s }},
		{"method", func(r *http.Request, s string) { r.Method = s }},
		{"query", func(r *http.Request, s string) { r.URL.RawQuery = "token=" + s }},
		{"path", func(r *http.Request, s string) { r.URL.Path = "/v1/" + s }},
		{"path of another method", func(r *http.Request, s string) { r.Method, r.URL.Path = "POST", r.URL.Path+"/"+s }},
	}
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				_, spans := a.observe()
				r := o.request(nil)
				r.Header.Set("Authorization", "Bearer "+secret)
				test.change(r, secret)
				a.send(r)
				a.checkSpans(spans)
			})
		}
	})
}

// As an ID, a secret is well-formed, and a caller may well get the order of a command's arguments
// wrong.
func TestSecretAsParameter(t *testing.T) {
	tokens := map[string]func(*jobrun.Token){
		"any project":     func(*jobrun.Token) {},
		"one project":     func(token *jobrun.Token) { token.Projects = []string{exampleKey.Project} },
		"another project": func(token *jobrun.Token) { token.Projects = []string{"other"} },
		"several teams":   func(token *jobrun.Token) { token.Teams = []string{exampleKey.Team, "other"} },
		"another team":    func(token *jobrun.Token) { token.Teams = []string{"other"} },
		"no permission":   func(token *jobrun.Token) { token.Permissions = nil },
	}
	forEachParameter(t, func(t *testing.T, o operation, parameter string) {
		for name, change := range tokens {
			t.Run(name, func(t *testing.T) {
				a, _ := newFilledAPI(t)
				token := allowed()
				change(&token)
				_, spans := a.observe()
				secret := a.token(token)
				for _, value := range []string{secret, secret + "-", secret + "%2F"} {
					a.ask(o, map[string]string{parameter: value}, secret)
					a.ask(o, map[string]string{parameter: value}, "")
				}
				a.checkSpans(spans)
			})
		}
	})
}

func TestRequestIDIsOurs(t *testing.T) {
	a, secret := newFilledAPI(t)
	seen := map[string]bool{"chosen-by-the-caller-of-this-request": true}
	for range 100 {
		r := httptest.NewRequest(http.MethodGet, runPath(t, exampleKey), nil)
		r.Header.Set("X-Request-Id", "chosen-by-the-caller-of-this-request")
		r.Header.Set("Authorization", "Bearer "+secret)
		id := a.send(r).header.Get("X-Request-Id")
		if seen[id] {
			t.Fatalf("the id %q was there before", id)
		}
		seen[id] = true
	}
}
