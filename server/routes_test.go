package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestPathsOutsideTheDocument(t *testing.T) {
	run := runPath(t, exampleKey)
	teamRun := teamRunPath(t, exampleKey)
	paths := []string{
		"/v1",
		"/v1/",
		"/v2" + strings.TrimPrefix(run, "/v1"),
		strings.TrimPrefix(run, "/v1"),
		"/V1" + strings.TrimPrefix(run, "/v1"),
		"/v1/unknown",
		"/favicon.ico",
		"/v1/login/",
		"/v1/login%2F",
		"/v1/login/x",
		"/v1/Login",
		"/v1//login",
		"/v1/./login",
		"/v1/x/../login",
		"/v1/projects",
		"/v1/projects/default-project/jobs/example-job",
		strings.TrimSuffix(run, "/"+exampleKey.Run),
		strings.TrimSuffix(run, exampleKey.Run),
		run + "/",
		run + "//",
		run + "/.",
		run + "/..",
		run + "/logs",
		run + "/logs/",
		run + "/logs/more",
		run + "/logs%2Fmore",
		teamRun + "/",
		teamRun + "/logs",
		"/." + run,
		strings.Replace(run, "/jobs/", "/jobs//", 1),
		strings.Replace(run, "/jobs/", "/Jobs/", 1),
		strings.Replace(run, "/jobs/", "/./jobs/", 1),
		strings.Replace(run, "/jobs/", "%2Fjobs/", 1),
		strings.Replace(run, "/jobs/", "/jobs%2F", 1),
		"/" + strings.Repeat("a", 8000),
		"/v1/%00",
		"/v1/%FF",
	}
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, "PROPFIND", "X",
	}
	for _, path := range paths {
		if len(operationsAt(t, path)) > 0 {
			continue // the document has it by now
		}
		t.Run(path[:min(len(path), 120)], func(t *testing.T) {
			a, secret := newFilledAPI(t)
			for _, method := range methods {
				for _, s := range []string{"", secret} {
					got := a.do(method, path, s)
					if got.status != http.StatusNotFound || got.err.Message != "not found" {
						t.Errorf("%s: the status is %d, want 404: %s", method, got.status, got.body)
					}
					a.noLookup()
				}
			}
		})
	}
}

// An encoded slash in a run's ID does not end it: the ID is malformed, and the path is not that of
// the run.
func TestEncodedSlashAfterRun(t *testing.T) {
	for _, path := range []string{runPath(t, exampleKey), teamRunPath(t, exampleKey)} {
		for _, rest := range []string{"%2F", "%2f", "%2Flogs", "%2F..", "%2F%2F"} {
			a, secret := newFilledAPI(t)
			a.wantBroken(a.get(path+rest, secret), "runId", "pattern")
		}
	}
}

func TestMethodNotAllowed(t *testing.T) {
	methods := []string{
		http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodTrace, "PROPFIND", "get",
	}
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, method := range methods {
			t.Run(method, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				if slices.Contains(documentedMethods(t, o), method) {
					return
				}
				for _, s := range []string{"", secret} {
					got := a.do(method, o.path(nil), s)
					a.want(got, 405)
					wantAllow(t, got, documentedMethods(t, o))
					a.noLookup()
				}
			})
		}
		t.Run("OPTIONS", func(t *testing.T) {
			a, secret := newFilledAPI(t)
			got := a.do(http.MethodOptions, o.path(nil), secret)
			a.want(got, 204)
			wantAllow(t, got, documentedMethods(t, o))
			a.noLookup()
		})
	})
}

// documentedMethods returns those that the document has for the operation's path, and those that
// follow from them, sorted.
func documentedMethods(t *testing.T, o operation) []string {
	t.Helper()
	methods := []string{http.MethodOptions}
	for method := range o.PathItem.Operations() {
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return methods
}

// wantAllow checks the methods in Allow, in any order. want must be sorted.
func wantAllow(t *testing.T, got answer, want []string) {
	t.Helper()
	allow := strings.Split(got.header.Get("Allow"), ", ")
	slices.Sort(allow)
	if !slices.Equal(allow, want) {
		t.Errorf("Allow is %q, want %q", allow, want)
	}
}

// What the document says nothing about changes nothing.
func TestHarmlessRequests(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
	}{
		{
			"another host than that of the document's servers",
			func(r *http.Request) { r.Host = "jobs.example.com:8443" },
		},
		{"no host", func(r *http.Request) { r.Host = "" }},
		{"a query", func(r *http.Request) { r.URL.RawQuery = "teamId=other&projectId=&%zz;" }},
		{"a forwarded host", func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "x") }},
		{"a method override", func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "DELETE") }},
		{"an unwanted representation", func(r *http.Request) { r.Header.Set("Accept", "text/html") }},
		{"a long header", func(r *http.Request) { r.Header.Set("Cookie", strings.Repeat("a", 10_000)) }},
	}
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, test := range tests {
			if test.name == "a query" && (o.Operation.RequestBody != nil || o.Operation.Extensions["x-sensitive"] != nil) {
				continue // TestRecordJobRunRefusesBadRequests and TestJobLogs
			}
			t.Run(test.name, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				want := a.ask(o, nil, secret)
				a.want(want, o.success)
				r := o.request(nil)
				r.Header.Set("Authorization", "Bearer "+secret)
				test.change(r)
				got := a.send(r)
				a.want(got, o.success)
				if o.id == "getSwaggerJson" {
					return // it names the host
				}
				if string(got.body) != string(want.body) {
					t.Errorf("the response is %s, want %s", got.body, want.body)
				}
			})
		}
	})
}

// A body that the document does not have changes nothing.
func TestBodyNobodyAskedForIsHarmless(t *testing.T) {
	bodies := map[string]string{
		"application/json":                  `{"teamId": "other"`,
		"application/x-www-form-urlencoded": "runId=other&%zz",
		"text/plain":                        strings.Repeat("a", 1<<20),
	}
	forEachOperation(t, func(t *testing.T, o operation) {
		if o.Operation.RequestBody != nil {
			return
		}
		for contentType, body := range bodies {
			t.Run(contentType, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				r := httptest.NewRequest(o.Method, o.path(nil), strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+secret)
				r.Header.Set("Content-Type", contentType)
				a.want(a.send(r), o.success)
			})
		}
	})
}

// unread is a body that must not be read.
type unread struct{ testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.Error("the body is read")
	return 0, io.EOF
}

// A body that is read before the token is looked at, or that no operation takes, could be as large
// or as slow as anybody likes.
func TestBodyIsNotReadBeforeTheTokenIsChecked(t *testing.T) {
	forEachSecured(t, func(t *testing.T, o operation) {
		a, secret := newFilledAPI(t)
		a.TB = t
		for s, want := range map[string]int{"": 401, "unknown": 401, secret: o.success} {
			if o.Operation.RequestBody != nil && s == secret {
				continue
			}
			r := httptest.NewRequest(o.Method, o.path(nil), unread{t})
			r.Header.Set("Authorization", "Bearer "+s)
			a.want(a.send(r), want)
		}
	})
}
