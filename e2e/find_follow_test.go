//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFindPageFollowsRun looks at a run until it has concluded, with a pause while the person looks
// at something else.
func TestFindPageFollowsRun(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a)
	b := newTab(t, screens[1])
	b.find(a.server.url+"/#/projects/p/jobs/j", token)
	b.heading("j")
	b.until("a run that is running", "document.querySelector('tbody').innerText.includes('so far')")
	b.do("open the run", chromedp.Navigate(a.server.url+"/#/projects/p/jobs/j/runs/"+id))
	b.until("the run", "document.querySelector('dl')")
	if got := b.details(); got["Status"] != "▶ RUNNING" || got["Concluded"] != "not yet" {
		t.Errorf("the page says of a run that is running: %q", got)
	}
	b.fits("with a run that is running")
	b.waits(1, 0)

	b.hide(true)
	b.waits(0, 1)
	finish()
	if got := b.details()["Status"]; got != "▶ RUNNING" {
		t.Errorf("the page, which is hidden, says that the run is %q", got)
	}
	b.hide(false)
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	b.until("the news", "document.querySelector('#news').textContent.startsWith('The run has concluded: SUCCESS')")
	b.waits(0, 1)
	b.quiet(a.server.url)
}

// TestFindPageWaitsWithOneRequest looks at a run that is running, and then at something else.
func TestFindPageWaitsWithOneRequest(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a)
	b := newTab(t, screens[0])
	b.find(a.server.url+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the run", "document.querySelector('dl')")
	b.waits(1, 0)
	b.do("go to another page", chromedp.Navigate(a.server.url+"/#/projects"))
	b.heading("Projects")
	b.waits(0, 1)
	b.do("go back", chromedp.NavigateBack())
	b.until("the run", "document.querySelector('dl')")
	b.waits(1, 1)
	finish()
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	// Each time the page asks once at once, and once to wait.
	b.mu.Lock()
	asked := 0
	for _, request := range b.requests {
		if strings.HasSuffix(request, "/runs/"+id) {
			asked++
		}
	}
	b.mu.Unlock()
	if asked > 4 {
		t.Errorf("the page asks for the run %d times, want 4 at most", asked)
	}
	b.quiet(a.server.url)
}

// TestFindPageAsksAgain has a run that is running while the server cannot reach its store for a
// moment.
func TestFindPageAsksAgain(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a)
	to, err := url.Parse(a.server.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	var failed atomic.Bool
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") != "" && failed.CompareAndSwap(false, true) {
			w.Header().Set("Retry-After", "3")
			http.Error(w, `{"error":{"status":503,"message":"the store cannot be reached","id":"x"}}`,
				http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer outside.Close()
	b := newTab(t, screens[1])
	b.find(outside.URL+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the trouble", "document.querySelector('.state')?.textContent === "+
		"'The server cannot reach its store right now. This page asks again in 3 seconds.'")
	finish()
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	b.quiet(outside.URL)
}
