//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// silentServer is a server that does not respond to requests of the API whose URL contains silent,
// unless that is "".
type silentServer struct {
	url    string
	silent atomic.Value // a string
	asked  atomic.Int32 // how many requests it has not responded to
}

func newSilentServer(t *testing.T, backend string) *silentServer {
	t.Helper()
	to, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	var s silentServer
	s.silent.Store("")
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		silent := s.silent.Load().(string)
		if silent != "" && strings.Contains(r.URL.String()+r.Header.Get("Prefer"), silent) {
			s.asked.Add(1)
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(outside.Close)
	s.url = outside.URL
	return &s
}

// patienceEnds replaces the timers of 10 seconds and more: they end with late(), and no earlier.
const patienceEnds = `{
	const { setTimeout, clearTimeout } = window;
	let id = 0;
	window.late = null;
	window.setTimeout = (f, ms, ...args) => { if (ms < 10_000) { return setTimeout(f, ms, ...args); } window.late = f; return --id; };
	window.clearTimeout = (of) => { if (of === id) { window.late = null; } else { clearTimeout(of); } };
}`

const (
	submitPart  = "document.querySelector('form button')"
	silentText  = "The server does not respond"
	pleaseWait  = "Please wait…"
	wantsToTry  = "Array.from(document.querySelectorAll('main button')).some((b) => b.textContent === 'Try again' && !b.disabled)"
	busyPart    = "document.querySelector('main').ariaBusy === 'true'"
	showsSilent = "document.querySelector('main').innerText.includes('" + silentText + "')"
)

// late has the page run out of patience, and waits until it offers to try again.
func (b *tab) late() {
	b.Helper()
	b.until("a request that takes long", "late && (late(), true)")
	b.until("the offer to try again", wantsToTry)
	b.until("the message", showsSilent)
}

func (b *tab) tryAgain() {
	b.Helper()
	b.do("try again", chromedp.Click(chromedp.Search(`//main//button[.="Try again"]`), chromedp.NodeVisible))
}

func TestFindPageSendsOneRequestToSilentServer(t *testing.T) {
	store, token := shopStore(t)
	s := newSilentServer(t, serve(t, store).url)
	b := newTab(t, screens[1])
	b.atStart(patienceEnds)
	wantAsked := func(when string, want int32) {
		t.Helper()
		if got := s.asked.Swap(0); got != want {
			t.Errorf("%s: the page sent %d requests, want %d", when, got, want)
		}
	}

	s.silent.Store("login")
	b.do("open the page", chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("form input")),
		chromedp.SendKeys(chromedp.CSS("form input"), token))
	for range 5 {
		b.do("continue", chromedp.KeyEvent(kb.Enter), chromedp.Click(chromedp.CSS("form button")))
	}
	b.until("a sign of the press", submitPart+".disabled && "+submitPart+".textContent === '"+pleaseWait+"'")
	b.late()
	wantAsked("the form", 1)
	s.silent.Store("")
	b.tryAgain()
	b.heading("Projects")
	b.waits(0, 1)

	s.silent.Store("jobs")
	b.follow("shop")
	b.until("a sign of the press", busyPart)
	b.late()
	b.heading(silentText)
	if get(b, "busy", chromedp.Evaluate[bool](busyPart)) {
		t.Error("the page that offers to try again is busy")
	}
	for range 5 {
		b.tryAgain()
	}
	b.until("a sign of the press", busyPart)
	b.late()
	wantAsked("a list", 2)
	s.silent.Store("")
	b.tryAgain()
	b.heading("shop")

	b.follow("nightly-backup")
	b.heading("nightly-backup")
	s.silent.Store("cursor=")
	more := chromedp.Click(chromedp.CSS(".more"), chromedp.NodeVisible)
	b.do("more", more, more, more)
	b.until("a sign of the press", "document.querySelector('.more').textContent === '"+pleaseWait+"'")
	b.late()
	wantAsked("more", 1)
	s.silent.Store("")
	b.do("try again", more)
	b.until("more runs", "document.querySelectorAll('tbody tr').length === 100")
	b.until("the message is gone", "!"+showsSilent)

	s.silent.Store("outcome")
	b.do("a failed run", chromedp.Navigate(s.url+"/#/projects/shop/jobs/nightly-backup/runs/d34506e8-35bd-4c71-8e7c-e36999b88723"))
	b.until("the run", "document.querySelector('dl')")
	b.late()
	s.silent.Store("")
	b.tryAgain()
	b.until("the reason", "document.querySelector('dl').textContent.includes('Reason')")
	b.quiet(s.url)
}

// TestFindPageShowsLateResponse has a server respond after the page has offered to try again.
func TestFindPageShowsLateResponse(t *testing.T) {
	store, token := shopStore(t)
	ctx, respond := context.WithCancel(t.Context())
	to, err := url.Parse(serve(t, store).url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/jobs") {
			<-ctx.Done()
		}
		proxy.ServeHTTP(w, r)
	}))
	defer slow.Close()
	defer respond()
	b := newTab(t, screens[0])
	b.atStart(patienceEnds)
	b.find(slow.URL+"/#/projects/shop", token)
	b.until("the request", busyPart)
	b.late()
	respond()
	b.heading("shop")
	b.quiet(slow.URL)
}

func TestFindPageAsksAgainForRunAtSilentServer(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a)
	s := newSilentServer(t, a.server.url)
	s.silent.Store("wait=")
	b := newTab(t, screens[1])
	b.atStart(patienceEnds)
	b.find(s.url+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the run", "document.querySelector('dl') && late")
	s.silent.Store("")
	finish()
	get(b, "late", chromedp.Evaluate[chromedp.Void]("late()"))
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	b.quiet(s.url)
}

// TestFindPageBackRestoresList goes back to a list with more than its first page.
func TestFindPageBackRestoresList(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url, token)
	b.heading("Projects")
	b.follow("shop")
	b.heading("shop")
	b.follow("nightly-backup")
	b.heading("nightly-backup")
	for _, want := range []string{"100", "137"} {
		b.do("more", chromedp.Click(chromedp.CSS(".more"), chromedp.NodeVisible))
		b.until("more runs", "document.querySelectorAll('tbody tr').length === "+want)
	}
	link := "document.querySelector('tbody tr:nth-child(120) a')"
	get(b, "scroll", chromedp.Evaluate[chromedp.Void](link+".scrollIntoView({ block: 'center' })"))
	scrolled := get(b, "the position", chromedp.Evaluate[float64]("scrollY"))
	b.do("a run", chromedp.Click(chromedp.CSS("tbody tr:nth-child(120) a")))
	b.until("the run", "document.querySelector('dl') && scrollY === 0")
	b.mu.Lock()
	asked := len(b.requests)
	b.mu.Unlock()

	b.do("back", chromedp.NavigateBack())
	b.heading("nightly-backup")
	if rows, at := b.rows(), get(b, "the position", chromedp.Evaluate[float64]("scrollY")); rows != 137 || at != scrolled {
		t.Errorf("back at the list, it has %d rows, and is at %g, want 137 and %g", rows, at, scrolled)
	}
	if !get(b, "the focus", chromedp.Evaluate[bool]("document.activeElement === "+link)) {
		t.Error("the link that was followed does not have the focus")
	}
	b.do("back", chromedp.NavigateBack())
	b.heading("shop")
	b.do("forward", chromedp.NavigateForward())
	b.heading("nightly-backup")
	if rows := b.rows(); rows != 137 {
		t.Errorf("forward at the list, it has %d rows, want 137", rows)
	}
	b.mu.Lock()
	if more := b.requests[asked:]; len(more) > 0 {
		t.Errorf("the page asks again for %q", more)
	}
	b.mu.Unlock()
	b.do("the same list by a link", chromedp.Click(chromedp.Search(`//nav//a[.="shop"]`), chromedp.NodeVisible))
	b.heading("shop")
	b.follow("nightly-backup")
	b.heading("nightly-backup")
	if rows := b.rows(); rows != 50 {
		t.Errorf("the list that a link leads to has %d rows, want 50", rows)
	}
	b.do("forget the token", chromedp.Click(chromedp.CSS("#forget")), chromedp.NavigateBack())
	b.heading("Find a run")
	b.quiet(s.url)
}
