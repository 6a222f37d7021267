//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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

// TestPagesBehindProxy does what a person does with the documentation in the browser: paste a
// token, try the operation, see the response. It then finds a project on the other page. It reaches
// the server under another name and below a path, neither of which the server knows.
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
