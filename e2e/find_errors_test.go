//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestFindPageAsksForAnotherToken revokes the token that the page has.
func TestFindPageAsksForAnotherToken(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url+"/#/projects/shop", "jobruns_invalid")
	b.until("an error", "document.querySelector('.error').textContent.startsWith('The token is not valid')")
	b.fits("with an error")
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
	another := output(t, "jobrund", "token", "create", "--name", "another", "--store", store)
	b.do("paste another",
		chromedp.SendKeys(chromedp.CSS("form input"), another),
		chromedp.Click(chromedp.CSS("form button")),
	)
	b.heading("shop")
	b.do("forget it", chromedp.Click(chromedp.CSS("#forget")))
	b.heading("Find a run")
	if stored := get(b, "the storage",
		chromedp.Evaluate[int]("sessionStorage.length + localStorage.length")); stored != 0 {
		t.Errorf("%d values are stored still", stored)
	}
	b.quiet(s.url)
}

func TestFindPageAsksForTeam(t *testing.T) {
	last := time.Now().Add(-time.Hour)
	store := importLines(t, history("red", "shop", "pay", last, 2, 0), history("blue", "web", "build", last, 7, 2))
	token := output(t, "jobrund", "token", "create", "--name", "both", "--team", "red", "--team", "blue", "--store",
		store)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url, token)
	b.heading("Which team?")
	if text := b.mainText(); !strings.Contains(text, "(red, blue)") {
		t.Errorf("the page does not name the teams: %s", text)
	}
	b.do("name one", chromedp.SendKeys(chromedp.CSS("form input"), "blue"+kb.Enter))
	b.heading("Projects of blue")
	b.follow("web")
	b.heading("web")
	b.do("open the latest run", chromedp.Click(chromedp.CSS("tbody td:nth-child(2) a"), chromedp.NodeVisible))
	b.until("the run", "document.querySelector('dl')")
	if got := get(b, "the address", chromedp.Location()); !strings.HasPrefix(got,
		s.url+"/#/teams/blue/projects/web/jobs/build/runs/") {
		t.Errorf("the run is at %s", got)
	}
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
		if text := b.mainText(); !strings.Contains(text, test.text) {
			t.Errorf("%s: the page says %q, want %q in it", test.name, text, test.text)
		}
	}
	b.quiet(s.url)
	t.Run("no project", func(t *testing.T) {
		b := newTab(t, screens[1])
		b.find(s.url, empty)
		b.heading("Projects")
		if text := b.mainText(); !strings.Contains(text, "No run is recorded that this token may see") {
			t.Errorf("the page says %q", text)
		}
		b.quiet(s.url)
	})
	t.Run("projects cannot be listed", func(t *testing.T) {
		b := newTab(t, screens[1])
		b.find(s.url, jobsOnly)
		b.heading("This token may not see this")
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
	if text := b.mainText(); !strings.Contains(text, "Try again in 59 minutes") &&
		!strings.Contains(text, "Try again in 1 hour") {
		t.Errorf("the page does not say when: %s", text)
	}
	limited.stop(t, syscall.SIGTERM)
	b.do("try again", chromedp.Click(chromedp.CSS("main button")))
	b.heading("The server cannot be reached")
}
