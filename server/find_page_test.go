package server_test

import (
	"bytes"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestFindPageHeaders(t *testing.T) {
	a := newAPI(t)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got := a.asset(method, "/", nil)
		if got.Code != http.StatusOK || (got.Body.Len() == 0) != (method == http.MethodHead) {
			t.Errorf("%s: the status is %d, with %d bytes", method, got.Code, got.Body.Len())
		}
		wantHeaders(t, got.Header(), map[string]string{
			"Content-Type":           "text/html; charset=utf-8",
			"Cache-Control":          "no-cache",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
		})
	}
}

// The page needs no token, and what is not asked for rightly is an error as any other.
func TestFindPageOtherRequests(t *testing.T) {
	a := newAPI(t)
	a.store.onToken = func() error { t.Error("a token is looked up"); return nil }
	for _, authorization := range []string{"Bearer x", "Basic x", "x"} {
		if got := a.asset(
			http.MethodGet,
			"/",
			map[string]string{"Authorization": authorization},
		); got.Code != http.StatusOK {
			t.Errorf("with %q, the status is %d", authorization, got.Code)
		}
	}
	for _, p := range []string{"/", "/page/main.js"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, "X"} {
			got := a.do(method, p, "")
			a.want(got, http.StatusMethodNotAllowed)
			wantAllow(t, got, []string{"GET", "HEAD", "OPTIONS"})
		}
	}
	for _, p := range []string{
		"/.", "/index.html", "/page", "/page/", "/page/index.html", "/page/page.go", "/page/files/main.js",
		"/page/main.js/", "/page/../page/main.js", "/page/%2e%2e/page/main.js", "/page/x.js",
	} {
		a.want(a.get(p, ""), http.StatusNotFound)
	}
}

func TestFindPagePolicy(t *testing.T) {
	wantPolicy(t, newAPI(t).asset(http.MethodGet, "/", nil).Header(), map[string]string{
		"default-src":               "'none'",
		"script-src":                "'self'",
		"style-src":                 "'self'",
		"img-src":                   "'self'",
		"connect-src":               "'self'",
		"base-uri":                  "'none'",
		"form-action":               "'none'",
		"frame-ancestors":           "'none'",
		"require-trusted-types-for": "'script'",
		"trusted-types":             "'none'",
	})
}

var (
	moduleImports = regexp.MustCompile(`(?m)^import .* from '\./([a-z]+\.js)';$`)
	// makesHTML is what would make HTML or a script of a text.
	makesHTML = regexp.MustCompile(
		`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function`,
	)
)

// TestFindPageAssets follows all that the page loads: from this server, each with its type, and
// nothing is left that the page does not load.
func TestFindPageAssets(t *testing.T) {
	a := newAPI(t)
	body := a.asset(http.MethodGet, "/", nil).Body.Bytes()
	if found := inlineScripts.Find(body); found != nil {
		t.Errorf("the page has %q in it, which the policy forbids", found)
	}
	var next []string
	for _, match := range pageLinks.FindAllSubmatch(body, -1) {
		switch to := string(match[1]); {
		case strings.HasPrefix(to, "page/"):
			next = append(next, "/"+to)
		case to != "#/" && "/"+to != pagePath:
			t.Errorf("the page links to %s", to)
		}
	}
	seen := map[string]bool{}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		got := a.asset(http.MethodGet, name, nil)
		if got.Code != http.StatusOK {
			t.Errorf("%s: the status is %d", name, got.Code)
		}
		wantHeaders(t, got.Header(), map[string]string{
			"Content-Type": assetTypes[path.Ext(name)], "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
		})
		if got.Header().Get("ETag") == "" {
			t.Errorf("%s has no ETag", name)
		}
		text := bytes.ReplaceAll(got.Body.Bytes(), []byte("http://www.w3.org/2000/svg"), nil) // a name, not an address
		if bytes.Contains(text, []byte("://")) || makesHTML.Match(text) {
			t.Errorf("%s names a server, or makes HTML of a text", name)
		}
		for _, match := range moduleImports.FindAllSubmatch(text, -1) {
			next = append(next, "/page/"+string(match[1]))
		}
	}
	if len(seen) < 8 {
		t.Errorf("the page loads only %v", seen)
	}
}
