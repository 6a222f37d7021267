package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server"
)

const (
	documentPath = "/v1/swagger-json"
	pagePath     = "/v1/swagger-html"
)

// served returns the document as it is answered to the request, after a check that it is valid.
func (a *api) served(r *http.Request) *openapi3.T {
	a.Helper()
	got := a.send(r)
	a.want(got, 200)
	doc, err := openapi3.NewLoader().LoadFromData(got.body)
	if err != nil {
		a.Fatal(err)
	}
	if err := doc.Validate(a.Context()); err != nil {
		a.Error(err)
	}
	return doc
}

func TestServedDocumentIsTheContract(t *testing.T) {
	text := func(doc *openapi3.T) any {
		doc.Servers = nil
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var all any
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want, err := freshDocument()
	if err != nil {
		t.Fatal(err)
	}
	got := newAPI(t).served(httptest.NewRequest(http.MethodGet, documentPath, nil))
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("the document (-in force +served):\n%s", diff)
	}
}

// People read the document, so that what is in it comes in the order in which it was written.
func TestServedDocumentIsInOrder(t *testing.T) {
	rest := newAPI(t).get(documentPath, "").body
	for _, key := range []string{
		"openapi", "info", "servers", "tags", "paths", runPathOf(t, "getJobRun"), runPathOf(t, "getTeamJobRun"), "components",
		"JobRun", "id", "active", "backoffLimit", "completions", "concluded", "failed", "runName", "status", "succeeded",
		"startedAt", "concludedAt", "JobRunResult",
	} {
		_, after, found := bytes.Cut(rest, []byte(`"`+key+`":`))
		if !found {
			t.Fatalf("%q is not where it should be", key)
		}
		rest = after
	}
}

func runPathOf(t *testing.T, id string) string { return operationOf(t, id).Path }

// The server is relative to the document, so that a client that is generated from it behind a proxy
// sends its token where the document came from, and encrypted as the document was.
func TestServersOfServedDocument(t *testing.T) {
	doc := newAPI(t).served(httptest.NewRequest(http.MethodGet, documentPath, nil))
	if len(doc.Servers) != 1 {
		t.Fatalf("servers %v, want one", doc.Servers)
	}
	for at, want := range map[string]string{
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080/",
		"https://jobs.example.com":        "https://jobs.example.com/",
		"https://example.com/prefix/jobs": "https://example.com/prefix/jobs/",
	} {
		document, err := url.Parse(at + documentPath)
		if err != nil {
			t.Fatal(err)
		}
		server, err := document.Parse(doc.Servers[0].URL)
		if err != nil || server.String() != want {
			t.Errorf("the document at %s: the server is %s, want %s: %v", document, server, want, err)
		}
	}
}

// What needs no token must not fail for a wrong one, and must not cost a look-up.
func TestOpenOperations(t *testing.T) {
	var tested int
	forEachOperation(t, func(t *testing.T, o operation) {
		if !o.open {
			return
		}
		tested++
		a := newAPI(t)
		a.TB = t
		a.store.onToken = func() error { t.Error("a token is looked up"); return nil }
		for _, authorization := range []string{"", "Bearer x", "Basic x", "x"} {
			r := o.request(nil)
			r.Header.Set("Authorization", authorization)
			got := a.send(r)
			a.want(got, 200)
			wantHeaders(t, got.header, map[string]string{
				"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			})
		}
	})
	if tested != 2 {
		t.Errorf("%d operations need no token, want getSwaggerJson and getSwaggerHtml", tested)
	}
}

func wantHeaders(t testing.TB, header http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if diff := cmp.Diff([]string{value}, header.Values(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	wantPolicy(t, newAPI(t).get(pagePath, "").header, map[string]string{
		"default-src":     "'none'",
		"script-src":      "'self'",
		"style-src":       "'self'",
		"img-src":         "'self' data:",
		"connect-src":     "'self'",
		"base-uri":        "'none'",
		"form-action":     "'none'",
		"frame-ancestors": "'none'",
	})
}

func wantPolicy(t *testing.T, header http.Header, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for directive := range strings.SplitSeq(header.Get("Content-Security-Policy"), "; ") {
		name, value, _ := strings.Cut(directive, " ")
		got[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the policy (-want +got):\n%s", diff)
	}
}

var (
	pageLinks     = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	inlineScripts = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
)

// linked returns the paths of what the page loads or links to.
func linked(t *testing.T, a *api) []string {
	t.Helper()
	page := a.get(pagePath, "").body
	if found := inlineScripts.Find(page); found != nil {
		t.Errorf("the page has %q in it, which the policy forbids", found)
	}
	base, err := url.Parse("http://this.example.com" + pagePath)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, match := range pageLinks.FindAllSubmatch(page, -1) {
		to, err := base.Parse(string(match[1]))
		if err != nil || to.Host != base.Host {
			t.Errorf("the page links to %s", match[1])
			continue
		}
		paths = append(paths, to.Path)
	}
	if len(paths) < 5 {
		t.Fatalf("the page links to %q only", paths)
	}
	return paths
}

// elsewhere is an address of another server, where a style sheet would load it from.
var elsewhere = regexp.MustCompile(`(?i)(?:url\(|@import)["'\s]*(?:https?:)?//`)

var assetTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".png": "image/png", "": "text/html; charset=utf-8",
}

func TestPageLoadsFromThisServer(t *testing.T) {
	a := newAPI(t)
	for _, path := range linked(t, a) {
		t.Run(path, func(t *testing.T) {
			a.TB = t
			if path == documentPath {
				a.want(a.get(path, ""), 200)
				return
			}
			got := a.asset(http.MethodGet, path, nil)
			wantHeaders(t, got.Header(), map[string]string{"Content-Type": assetTypes[filepath.Ext(path)]})
			if got.Code != http.StatusOK || elsewhere.Match(got.Body.Bytes()) {
				t.Errorf("the status is %d, or it loads something from elsewhere", got.Code)
			}
			// What the script of Swagger UI does with the addresses in it only a browser can tell.
			if strings.Contains(path, "/page.") && strings.Contains(got.Body.String(), "://") {
				t.Errorf("it names a server: %s", got.Body)
			}
		})
	}
}

// The document has two versions: its own, and that of the program. A page escapes what it shows.
func TestProgramIsNamedByPagesAndDocument(t *testing.T) {
	a := newAPI(t)
	own := a.served(httptest.NewRequest(http.MethodGet, documentPath, nil)).Info
	if own.Extensions["x-served-by"] != nil {
		t.Errorf("without a program, the document is served by %v", own.Extensions)
	}
	var err error
	a.handler, err = server.New(a.store, a.logger, server.Options{Program: "jobrund v1.2.3 <x>"})
	if err != nil {
		t.Fatal(err)
	}
	got := a.served(httptest.NewRequest(http.MethodGet, documentPath, nil)).Info
	if got.Version != own.Version || got.Extensions["x-served-by"] != "jobrund v1.2.3 <x>" {
		t.Errorf("the document has %+v, want the contract's version %s and the program", got, own.Version)
	}
	for _, path := range []string{"/", pagePath} {
		if page := a.asset(http.MethodGet, path, nil).Body.String(); !strings.Contains(page, "<footer>jobrund v1.2.3 &lt;x&gt;</footer>") {
			t.Errorf("%s does not name the program: %s", path, page)
		}
	}
}
