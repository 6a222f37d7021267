//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
)

// TestPage does what a person does with the documentation in the browser: paste a token, try the
// operation, see the response.
func TestPage(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range []screen{wide, phone} {
		t.Run(on.name, func(t *testing.T) {
			b := newTab(t, on)
			b.open(s.url)
			b.quiet(s.url)
			b.authorize(token)
			b.execute(documented.Run)
			status, body := b.answer()
			wantRun(t, want, status, body)
			b.quiet(s.url)
		})
	}
}

func wantRun(t *testing.T, want []byte, status, body string) {
	t.Helper()
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: the page shows %s %s", err, status, body)
	}
	if diff := cmp.Diff(compact(t, want), compact(t, answer.Data)); status != "200" || diff != "" {
		t.Errorf("the page shows the status %q and (-want +got):\n%s", status, diff)
	}
}

// wantError checks that the page shows the error, with the id of its request.
func wantError(t *testing.T, want model.Error, status, body string) {
	t.Helper()
	var answer model.ErrorResult
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: the page shows %s %s", err, status, body)
	}
	if answer.Error.ID == "" {
		t.Error("the error has no id")
	}
	want.ID = answer.Error.ID
	if diff := cmp.Diff(want, answer.Error); status != strconv.Itoa(want.Status) || diff != "" {
		t.Errorf("the page shows the status %q and (-want +got):\n%s", status, diff)
	}
}

func TestPageShowsErrors(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	t.Run("a wrong token", func(t *testing.T) {
		b := newTab(t, wide)
		b.open(s.url)
		b.authorize("jobruns_invalid")
		b.execute(documented.Run)
		status, body := b.answer()
		wantError(t, model.Error{Status: 401, Message: "the token is not valid"}, status, body)
		b.quiet(s.url)
	})
	// The page knows the rule from the document, and does not ask.
	t.Run("a malformed id", func(t *testing.T) {
		b := newTab(t, wide)
		b.open(s.url)
		b.authorize(token)
		b.execute("-")
		b.do("wait for the complaint", chromedp.WaitVisible(chromedp.CSS(runPart+".invalid")))
		b.screenshot("invalid")
		b.quiet(s.url)
		if slices.ContainsFunc(b.requests, func(url string) bool { return strings.Contains(url, "/v1/projects/") }) {
			t.Errorf("the page asks for it: %q", b.requests)
		}
	})
}

// TestPagesBehindProxy reaches the server under another name and below a path, neither of which the
// server knows.
func TestPagesBehindProxy(t *testing.T) {
	store, token := documentedStore(t)
	s := serve(t, store)
	want, err := os.ReadFile("testdata/documented.json")
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	outside := httptest.NewServer(http.StripPrefix("/jobs", proxy))
	defer outside.Close()
	b := newTab(t, wide)
	b.open(outside.URL + "/jobs")
	b.authorize(token)
	b.execute(documented.Run)
	status, body := b.answer()
	wantRun(t, want, status, body)
	b.find(outside.URL+"/jobs/", token)
	b.heading("Projects")
	b.follow(documented.Project)
	b.heading(documented.Project)
	b.quiet(outside.URL)
}
