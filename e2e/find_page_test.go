//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// TestFindPage does what a person does to find a run: paste a token, choose the project, the job and
// the run, and go back.
func TestFindPage(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	for _, on := range screens {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(on.name+", "+scheme, func(t *testing.T) {
				b := newTab(t, on)
				b.media("prefers-color-scheme", scheme)
				b.find(s.url, token)
				b.heading("Projects")
				b.screenshot("projects")
				b.follow("shop")
				b.heading("shop")
				b.screenshot("jobs")
				b.follow("nightly-backup")
				b.heading("nightly-backup")
				b.screenshot("runs")
				if text := b.mainText(); !strings.Contains(text, "The latest 50 runs: 44 succeeded") || !strings.Contains(text, "6 failed") {
					t.Errorf("the page does not say how the latest runs went: %s", text)
				}
				for _, want := range []int{50, 100, 137} {
					if got := b.rows(); got != want {
						t.Errorf("there are %d runs, want %d", got, want)
					}
					if want < 137 {
						b.do("more", chromedp.Click(chromedp.CSS(".more"), chromedp.NodeVisible))
						b.until("more runs", "document.querySelectorAll('tbody tr').length > "+strconv.Itoa(want))
					}
				}
				b.do("no more", chromedp.WaitNotVisible(chromedp.CSS(".more")))
				b.follow("Failed")
				b.until("those that failed", "document.querySelectorAll('tbody tr').length === 15")
				b.fits("with those that failed")
				b.screenshot("failed runs")
				b.follow("nightly-backup-5fc9035856e1913e21d49504")
				b.heading("nightly-backup-5fc9035856e1913e21d49504")
				b.screenshot("run")
				got := b.details()
				delete(got, "Started")
				delete(got, "Concluded")
				if diff := cmp.Diff(map[string]string{
					"Status": "✕ FAILED", "Duration": "5 minutes 35 seconds", "Attempts": "4 ended, 3 retries allowed",
					"ID": "d34506e8-35bd-4c71-8e7c-e36999b88723",
				}, got); diff != "" {
					t.Errorf("the run (-want +got):\n%s", diff)
				}
				b.do("go back", chromedp.NavigateBack())
				b.until("those that failed", "document.querySelectorAll('tbody tr').length === 15")
				b.do("reload", chromedp.Reload())
				b.until("those that failed", "document.querySelectorAll('tbody tr').length === 15")
				b.quiet(s.url)
			})
		}
	}
}

// TestFindPageFollowsRun looks at a run until it has concluded, with a pause while the person looks
// at something else.
func TestFindPageFollowsRun(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a.store)
	b := newTab(t, screens[1])
	b.find(a.server.url+"/#/projects/p/jobs/j", token)
	b.heading("j")
	b.until("a run that is running", "document.querySelector('tbody').innerText.includes('so far')")
	b.screenshot("running runs")
	b.do("open the run", chromedp.Navigate(a.server.url+"/#/projects/p/jobs/j/runs/"+id))
	b.until("the run", "document.querySelector('dl')")
	if got := b.details(); got["Status"] != "▶ RUNNING" || got["Concluded"] != "not yet" {
		t.Errorf("the page says of a run that is running: %q", got)
	}
	b.fits("with a run that is running")
	b.screenshot("running run")
	b.waits(1)

	b.hide(true)
	b.waits(0)
	finish()
	if got := b.details()["Status"]; got != "▶ RUNNING" {
		t.Errorf("the page, which is hidden, says that the run is %q", got)
	}
	b.hide(false)
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	b.until("the news", "document.querySelector('#news').textContent.startsWith('The run has concluded: SUCCESS')")
	b.waits(0)
	b.quiet(a.server.url)
}

// TestFindPageWaitsWithOneRequest looks at a run that is running, and then at something else.
func TestFindPageWaitsWithOneRequest(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a.store)
	b := newTab(t, screens[0])
	b.find(a.server.url+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the run", "document.querySelector('dl')")
	b.waits(1)
	b.do("go to another page", chromedp.Navigate(a.server.url+"/#/projects"))
	b.heading("Projects")
	b.waits(0)
	b.do("go back", chromedp.NavigateBack())
	b.until("the run", "document.querySelector('dl')")
	b.waits(1)
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
	id, finish := unfinished(t, a.store)
	to, err := url.Parse(a.server.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	var failed atomic.Bool
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") != "" && failed.CompareAndSwap(false, true) {
			w.Header().Set("Retry-After", "3")
			http.Error(w, `{"error":{"status":503,"message":"the store cannot be reached","id":"x"}}`, http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer outside.Close()
	b := newTab(t, screens[1])
	b.find(outside.URL+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the trouble", "document.querySelector('.state')?.textContent === "+
		"'The server cannot reach its store right now. This page asks again in 3 seconds.'")
	b.screenshot("trouble")
	finish()
	b.until("the end", "document.querySelector('dl').textContent.includes('SUCCESS')")
	b.quiet(outside.URL)
}

// TestFindPageShowsNamesAsText has a run whose name would do something as HTML.
func TestFindPageShowsNamesAsText(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	for _, on := range screens {
		t.Run(on.name, func(t *testing.T) {
			b := newTab(t, on)
			b.find(s.url+"/#/projects/shop/jobs/hostile", token)
			b.heading("hostile")
			b.screenshot("runs")
			name := get(b, "the name", chromedp.Evaluate[string]("document.querySelector('tbody a').textContent"))
			if name != hostileName {
				t.Errorf("the page shows %q, want %q", name, hostileName)
			}
			b.do("open the run", chromedp.Click(chromedp.CSS("tbody a")))
			b.heading(hostileName)
			b.screenshot("run")
			if n := get(b, "the elements", chromedp.Evaluate[int]("document.querySelectorAll('main :is(script, img, b)').length")); n != 0 {
				t.Errorf("the name has become %d elements", n)
			}
			b.quiet(s.url)
		})
	}
}

func TestFindPageWithKeysOnly(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[0])
	b.do("open the page", chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("form input")))
	b.do("type the token", chromedp.KeyEvent(token), chromedp.KeyEvent(kb.Enter))
	b.heading("Projects")
	b.followWithKeys("shop")
	b.heading("shop")
	b.followWithKeys("nightly-backup")
	b.heading("nightly-backup")
	b.followWithKeys("Failed")
	b.until("those that failed", "document.querySelectorAll('tbody tr').length === 15")
	b.followWithKeys("nightly-backup-5fc9035856e1913e21d49504")
	b.heading("nightly-backup-5fc9035856e1913e21d49504")
	b.quiet(s.url)
}

// TestFindPageAsksForAnotherToken revokes the token that the page has.
func TestFindPageAsksForAnotherToken(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url+"/#/projects/shop", "jobruns_invalid")
	b.until("an error", "document.querySelector('.error').textContent.startsWith('The token is not valid')")
	b.fits("with an error")
	b.screenshot("wrong token")
	for _, text := range []string{"jobruns\u00a0€", token} {
		b.do("empty the field", chromedp.Clear(chromedp.CSS("form input")))
		b.do("paste another",
			chromedp.SendKeys(chromedp.CSS("form input"), text),
			chromedp.Click(chromedp.CSS("form button")),
		)
	}
	b.heading("shop")

	output(t, "jobrund", "token", "revoke", "test", "--store", store)
	b.until("it is refused", "document.querySelector('h1').textContent === 'Find a run' || "+
		"document.querySelector('.loaded button')?.click()")
	if text := b.mainText(); !strings.Contains(text, "The token is not valid") {
		t.Errorf("the page does not say why it asks: %s", text)
	}
	b.screenshot("revoked token")
	another := output(t, "jobrund", "token", "create", "--name", "another", "--store", store)
	b.do("paste another",
		chromedp.SendKeys(chromedp.CSS("form input"), another),
		chromedp.Click(chromedp.CSS("form button")),
	)
	b.heading("shop")
	b.do("forget it", chromedp.Click(chromedp.CSS("#forget")))
	b.heading("Find a run")
	if stored := get(b, "the storage", chromedp.Evaluate[int]("sessionStorage.length + localStorage.length")); stored != 0 {
		t.Errorf("%d values are stored still", stored)
	}
	b.quiet(s.url)
}

func TestFindPageAsksForTeam(t *testing.T) {
	last := time.Now().Add(-time.Hour)
	store := importLines(t, history("red", "shop", "pay", last, 2, 0), history("blue", "web", "build", last, 7, 2))
	token := output(t, "jobrund", "token", "create", "--name", "both", "--team", "red", "--team", "blue", "--store", store)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url, token)
	b.heading("Which team?")
	b.screenshot("team")
	if text := b.mainText(); !strings.Contains(text, "(red, blue)") {
		t.Errorf("the page does not name the teams: %s", text)
	}
	b.do("name one", chromedp.SendKeys(chromedp.CSS("form input"), "blue"+kb.Enter))
	b.heading("Projects of blue")
	b.follow("web")
	b.heading("web")
	b.do("open the latest run", chromedp.Click(chromedp.CSS("tbody td:nth-child(2) a"), chromedp.NodeVisible))
	b.until("the run", "document.querySelector('dl')")
	if got := get(b, "the address", chromedp.Location()); !strings.HasPrefix(got, s.url+"/#/teams/blue/projects/web/jobs/build/runs/") {
		t.Errorf("the run is at %s", got)
	}
	b.screenshot("run")
	b.quiet(s.url)
}

// TestFindPageSaysWhatIsWrong meets each error that the API has for a person.
func TestFindPageSaysWhatIsWrong(t *testing.T) {
	store, token := shopStore(t)
	jobsOnly := output(t, "jobrund", "token", "create", "--name", "jobs", "--permission",
		"Project > Jobs > General > Read", "--store", store)
	empty := output(t, "jobrund", "token", "create", "--name", "empty", "--team", "nobody", "--store", store)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url, token)
	b.heading("Projects")
	for _, test := range []struct{ name, address, heading, text string }{
		{"no such job", "projects/shop/jobs/nothing", "There is nothing here", "A project or a job without runs"},
		{"another address", "x/y", "There is no such page", "none of this page"},
		{"no such run", "projects/shop/jobs/nightly-backup/runs/nothing", "There is nothing here", "may have been removed"},
		{"a malformed id", "projects/-", "The server does not understand this address", "projectId"},
		{"a malformed address", "projects/%ff", "There is no such page", "none of this page"},
		{"another team", "teams/other", "This token may not see this", "Ask for a token that may"},
		{"no such status", "projects/website?status=RUNNING", "website", "No job's latest run is RUNNING"},
	} {
		b.do(test.name, chromedp.Navigate(s.url+"/#/"+test.address))
		b.heading(test.heading)
		b.screenshot(test.name)
		if text := b.mainText(); !strings.Contains(text, test.text) {
			t.Errorf("%s: the page says %q, want %q in it", test.name, text, test.text)
		}
	}
	b.quiet(s.url)
	t.Run("no project", func(t *testing.T) {
		b := newTab(t, screens[1])
		b.find(s.url, empty)
		b.heading("Projects")
		b.screenshot("empty")
		if text := b.mainText(); !strings.Contains(text, "No run is recorded that this token may see") {
			t.Errorf("the page says %q", text)
		}
		b.quiet(s.url)
	})
	t.Run("projects cannot be listed", func(t *testing.T) {
		b := newTab(t, screens[1])
		b.find(s.url, jobsOnly)
		b.heading("This token may not see this")
		b.screenshot("error")
		b.do("name one", chromedp.SendKeys(chromedp.CSS("form input"), "shop"+kb.Enter))
		b.heading("shop")
		b.quiet(s.url)
	})
}

func TestFindPageSaysWhenToTryAgain(t *testing.T) {
	store, token := shopStore(t)
	limited := serve(t, store, "--rate-limit", "2/1h")
	b := newTab(t, screens[1])
	b.find(limited.url, token)
	b.heading("Projects")
	b.follow("shop")
	b.heading("Too many requests")
	b.screenshot("too many")
	if text := b.mainText(); !strings.Contains(text, "Try again in 59 minutes") && !strings.Contains(text, "Try again in 1 hour") {
		t.Errorf("the page does not say when: %s", text)
	}
	limited.stop(t, syscall.SIGTERM)
	b.do("try again", chromedp.Click(chromedp.CSS("main button")))
	b.heading("The server cannot be reached")
	b.screenshot("unreachable")
}

// TestFindPageBehindProxy reaches the server under another name and below a path, neither of which
// the server knows.
func TestFindPageBehindProxy(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	outside := httptest.NewServer(http.StripPrefix("/jobs", proxy))
	defer outside.Close()
	b := newTab(t, screens[0])
	b.find(outside.URL+"/jobs/", token)
	b.heading("Projects")
	b.follow("website")
	b.heading("website")
	b.quiet(outside.URL)
}

// TestFindPageWords asks the page's own script how it says times.
func TestFindPageWords(t *testing.T) {
	s := serve(t, newStore(t))
	b := newTab(t, screens[0])
	b.do("open the page", chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("form input")))
	for expression, want := range map[string]string{
		"duration(-5)":                  "less than a second",
		"duration(0.9)":                 "less than a second",
		"duration(1)":                   "1 second",
		"duration(60)":                  "1 minute",
		"duration(187.6)":               "3 minutes 7 seconds",
		"duration(3600)":                "1 hour",
		"duration(3601)":                "1 hour",
		"duration(93784)":               "1 day 2 hours",
		"duration(8640000)":             "100 days",
		"ago(-3)":                       "just now",
		"ago(59)":                       "59 seconds ago",
		"ago(7199)":                     "1 hour ago",
		"exact('2020-12-08T11:47:08Z')": "2020-12-08 11:47:08 UTC",
	} {
		got := get(b, expression, chromedp.Evaluate[string](
			"import('./page/words.js').then(({ duration, ago, exact }) => "+expression+")", chromedp.EvalAwaitPromise))
		if got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
}

// TestFindPageFitsEveryWindow changes the size of the window at the pages that have the most in them.
func TestFindPageFitsEveryWindow(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[0])
	b.find(s.url, token)
	b.heading("Projects")
	for heading, address := range map[string]string{
		"shop":           "projects/shop",
		"nightly-backup": "projects/shop/jobs/nightly-backup",
		longJob:          "projects/shop/jobs/" + longJob,
		"hostile":        "projects/shop/jobs/hostile",
	} {
		b.do(heading, chromedp.Navigate(s.url+"/#/"+address))
		b.heading(heading)
		for _, width := range []int64{320, 360, 600, 768, 960, 961, 1024, 1280, 1920} {
			b.do("change the size", chromedp.EmulateViewport(width, 740))
			b.width = width
			b.fits(fmt.Sprintf("at %s, %d wide", heading, width))
		}
	}
}
