package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const token = "s3cr3t-t0k3n"

// documented is the example response of the reference, and documentedRun what it says.
var documented = readDocumented()

func readDocumented() string {
	data, err := os.ReadFile("../e2e/testdata/documented.json")
	if err != nil {
		panic(err)
	}
	return `{"data": ` + string(data) + "}"
}

var (
	documentedRef = RunRef{Project: "default-project", Job: "example-job", Run: "d34582a4-35bd-4c71-8e7c-e36999b88723"}
	documentedRun = &JobRun{
		ID:          "d34582a4-35bd-4c71-8e7c-e36999b88723",
		Completions: 1,
		Concluded:   true,
		RunName:     "example-job-5fcf67bc56e1913e21d49504",
		Status:      JobRunStatusSuccess,
		StartedAt:   time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC),
		ConcludedAt: new(time.Date(2020, 12, 8, 11, 52, 8, 0, time.UTC)),
	}
)

// serve starts a server for the time of the test.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// answers is a handler that gives the same response to everything. It is JSON if the headers name
// no other type.
func answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func newClient(t *testing.T, baseURL string, opts ...Option) *Client {
	t.Helper()
	c, err := New(baseURL, append([]Option{WithToken(token)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefusesURL(t *testing.T) {
	for in, want := range map[string]string{
		"":                        `base URL "": not an absolute`,
		"api.example.com":         `base URL "api.example.com": not an absolute`,
		"/v1":                     `base URL "/v1": not an absolute`,
		"ftp://example.com":       `base URL "ftp://example.com": not an absolute`,
		"https://:443":            `base URL "https://:443": not an absolute`,
		"https://":                `base URL "https://": not an absolute`,
		"http://a b":              `base URL: not a URL`,
		"http://me:pw@a":          `base URL of host "a": user information`,
		"https://example.com?a=b": `base URL of host "example.com": a query or fragment`,
		"https://example.com?":    `base URL of host "example.com": a query or fragment`,
		"https://example.com#a":   `base URL of host "example.com": a query or fragment`,
	} {
		c, err := New(in)
		if c != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("New(%q) = %v, %v; want an error that begins %q", in, c, err, want)
		}
	}
}

func TestRequest(t *testing.T) {
	team := documentedRef
	team.Team = "my-team"
	odd := RunRef{Project: "a/b", Job: "c d", Run: "../e?f=g#h%"}
	const path = "/v1/projects/default-project/jobs/example-job/runs/d34582a4-35bd-4c71-8e7c-e36999b88723"
	none := http.Header{"Accept": {"application/json"}, "User-Agent": {"me"}, "Accept-Encoding": {"gzip"}}
	auth := none.Clone()
	auth.Set("Authorization", "Bearer "+token)
	for name, tt := range map[string]struct {
		prefix string
		ref    RunRef
		want   string
	}{
		"project":         {"", documentedRef, path},
		"team":            {"", team, strings.Replace(path, "/v1/", "/v1/teams/my-team/", 1)},
		"trailing slash":  {"/", documentedRef, path},
		"trailing ones":   {"//", documentedRef, path},
		"prefix":          {"/a/b%2Fc", documentedRef, "/a/b%2Fc" + path},
		"prefix, slash":   {"/a/", documentedRef, "/a" + path},
		"escaped":         {"", odd, "/v1/projects/a%2Fb/jobs/c%20d/runs/..%2Fe%3Ff=g%23h%25"},
		"escaped, prefix": {"/a", odd, "/a/v1/projects/a%2Fb/jobs/c%20d/runs/..%2Fe%3Ff=g%23h%25"},
	} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				answers(200, documented)(w, r)
			})
			run, _, err := newClient(t, server+tt.prefix, WithUserAgent("me")).GetJobRun(t.Context(), tt.ref)
			if diff := cmp.Diff(documentedRun, run); diff != "" || err != nil {
				t.Errorf("run (-want +got):\n%s error: %v", diff, err)
			}
			if diff := cmp.Diff(auth, got.Header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			_, _, _ = newClient(t, server+tt.prefix, WithUserAgent("me"), WithToken("")).GetJobRun(t.Context(), tt.ref)
			if diff := cmp.Diff(none, got.Header); diff != "" {
				t.Errorf("headers without a token (-want +got):\n%s", diff)
			}
			if got.Method != http.MethodGet || got.RequestURI != tt.want {
				t.Errorf("request %s %s, want GET %s", got.Method, got.RequestURI, tt.want)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		headers []string
		want    Response
	}{
		"everything": {
			200,
			[]string{"X-RateLimit-Limit", "1000", "x-ratelimit-remaining", "998", "x-ratelimit-reset", "3599", "x-request-id", "abc"},
			Response{RequestID: "abc", RateLimit: RateLimit{Limit: 1000, Remaining: 998, Reset: 3599 * time.Second}},
		},
		"with an error": {404, []string{"x-ratelimit-limit", "10"}, Response{RateLimit: RateLimit{Limit: 10}}},
		"nothing":       {200, nil, Response{}},
		"nonsense":      {200, []string{"x-ratelimit-limit", "many", "x-ratelimit-reset", "-1"}, Response{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, serve(t, answers(tt.status, documented, tt.headers...)))
			_, resp, err := c.GetJobRun(t.Context(), documentedRef)
			if (err == nil) != (tt.status == 200) || resp == nil {
				t.Fatalf("response %v, error %v", resp, err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || string(body) != documented || err != nil {
				t.Errorf("status %d, body %q, %v", resp.StatusCode, body, err)
			}
			resp.Response = nil
			if *resp != tt.want {
				t.Errorf("%+v, want %+v", *resp, tt.want)
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the other server is asked: %v", r) })
	here := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			t.Errorf("%s without the token", r.URL)
		case strings.HasPrefix(r.URL.Path, "/moved/"):
			http.Redirect(w, r, strings.TrimPrefix(r.URL.Path, "/moved"), http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, "/away/"):
			http.Redirect(w, r, other+"/login", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/loop/"):
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		default:
			answers(200, documented)(w, r)
		}
	})
	for name, tt := range map[string]struct{ path, want string }{
		"same server":    {path: "/moved"},
		"another server": {path: "/away", want: `302 Found: redirected to "` + regexp.QuoteMeta(other) + `/login", which is not followed`},
		"loop":           {path: "/loop", want: "stopped after 10 redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := newClient(t, here+tt.path).GetJobRun(t.Context(), documentedRef)
			if tt.want == "" && err != nil ||
				tt.want != "" && (err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error())) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestTransportErrors has no server that responds: the error is the transport's own, without the
// token.
func TestTransportErrors(t *testing.T) {
	secure := httptest.NewUnstartedServer(answers(200, documented))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain of the client
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := serve(t, answers(200, documented))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx   context.Context
		url   string
		token string
		want  string
	}{
		"unknown certificate": {t.Context(), secure.URL, token, "certificate signed by unknown authority"},
		"not TLS":             {t.Context(), strings.Replace(plain, "http:", "https:", 1), token, "HTTP response to HTTPS client"},
		"canceled":            {canceled, plain, token, "context canceled"},
		"bad token":           {t.Context(), plain, token + "\n", "invalid header field value"},
	} {
		t.Run(name, func(t *testing.T) {
			run, resp, err := newClient(t, tt.url, WithToken(tt.token)).GetJobRun(tt.ctx, documentedRef)
			var urlErr *url.Error
			if run != nil || resp != nil || !errors.As(err, &urlErr) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, %v, %v; want an error with %q", run, resp, err, tt.want)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("the token is in %q", err)
			}
		})
	}
}

func TestWithRootCAs(t *testing.T) {
	server := httptest.NewTLSServer(answers(http.StatusOK, documented))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	trusting := newClient(t, server.URL, WithRootCAs(pool))
	if _, _, err := trusting.GetJobRun(t.Context(), documentedRef); err != nil {
		t.Error(err)
	}
	c, err := New(server.URL, WithRootCAs(x509.NewCertPool()))
	if err != nil {
		t.Fatal(err)
	}
	var untrusted *tls.CertificateVerificationError
	if _, _, err := c.GetJobRun(t.Context(), documentedRef); !errors.As(err, &untrusted) {
		t.Errorf("an authority that is not trusted: %v", err)
	}
	if _, err := New(server.URL, WithHTTPClient(&http.Client{}), WithRootCAs(pool)); err == nil {
		t.Error("WithRootCAs was accepted with another transport")
	}
}
