package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110, section 9.3.2: HEAD is answered as GET is, without the body.
func TestHead(t *testing.T) {
	missing := keyWith(exampleKey, "runId", "missing")
	tests := []struct {
		name, path string
		token      bool
		want       int
	}{
		{"a run", runPath(t, exampleKey), true, 200},
		{"a team's run", teamRunPath(t, exampleKey), true, 200},
		{"login", "/v1/login", true, 200},
		{"the document", documentPath, false, 200},
		{"the page", pagePath, false, 200},
		{"malformed", malformed(operationOf(t, "getJobRun")), true, 400},
		{"no token", runPath(t, exampleKey), false, 401},
		{"another team", teamRunPath(t, keyWith(exampleKey, "teamId", "other")), true, 403},
		{"no run", runPath(t, missing), true, 404},
		{"no path", "/v1/unknown", true, 404},
		{"beyond a run", runPath(t, exampleKey) + "/logs", true, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, secret := newFilledAPI(t)
			if !test.token {
				secret = ""
			}
			s := httptest.NewServer(a.handler)
			defer s.Close()
			headers := map[string]http.Header{}
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r := httptest.NewRequest(method, s.URL+test.path, nil)
				r.RequestURI = ""
				r.Header.Set("Accept-Encoding", "identity") // else the transport asks for gzip, but only for GET
				r.Header.Set("Authorization", "Bearer "+secret)
				response, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != test.want || response.ContentLength <= 0 {
					t.Errorf("%s: the status is %d with %d bytes, want %d",
						method, response.StatusCode, response.ContentLength, test.want)
				}
				headers[method] = response.Header
			}
			want, got := headers[http.MethodGet], headers[http.MethodHead]
			for _, header := range []http.Header{want, got} {
				if header.Get("X-Request-Id") == "" {
					t.Error("there is no X-Request-Id")
				}
				// They differ between any two requests.
				header.Del("X-Request-Id")
				header.Del("Date")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-GET +HEAD):\n%s", diff)
			}
		})
	}
}
