//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
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
	for i, scheme := range []string{"light", "dark"} {
		on := screens[i]
		t.Run(on.name+", "+scheme, func(t *testing.T) {
			b := newTab(t, on)
			b.media("prefers-color-scheme", scheme)
			b.find(s.url, token)
			b.heading("Projects")
			b.follow("shop")
			b.heading("shop")
			b.follow("nightly-backup")
			b.heading("nightly-backup")
			if text := b.mainText(); !strings.Contains(text, "The latest 50 runs: 44 succeeded") ||
				!strings.Contains(text, "6 failed") {
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
			b.follow("nightly-backup-5fc9035856e1913e21d49504")
			b.heading("nightly-backup-5fc9035856e1913e21d49504")
			b.until("the reason", "document.querySelector('dl').textContent.includes('Reason')")
			got := b.details()
			delete(got, "Started")
			delete(got, "Concluded")
			if diff := cmp.Diff(map[string]string{
				"Status": "✕ FAILED", "Reason": "how it ended was not recorded", "Duration": "5 minutes 35 seconds", "Attempts": "4 ended, 3 retries allowed",
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

// TestFindPageEscapesWhatNobodySees has names with characters that cannot be seen, which the page
// shows as the command line does.
func TestFindPageEscapesWhatNobodySees(t *testing.T) {
	last := time.Now().Add(-time.Hour)
	lines := history("default", "p", "j", last, 1, 0)
	lines[0].Run.RunName = "a\u200b\ufeff\U000e0041\u00ad\u00a0 é 漢 😀 \\ '"
	store := importLines(t, lines)
	token := output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
	s := serve(t, store)
	const want = `a\u200b\ufeff\U000e0041\u00ad\u00a0 é 漢 😀 \ '`
	b := newTab(t, screens[1])
	b.find(s.url+"/#/projects/p/jobs/j", token)
	b.heading("j")
	b.follow(want)
	b.heading(want)
	shown := output(t, "northflank", "get", "job", "run", "--host", s.url, "--token", token, "--project", "p", "--job", "j", "--latest")
	if !strings.Contains(shown, want) {
		t.Errorf("northflank shows %q, want %q", shown, want)
	}
	b.do("control characters", chromedp.Navigate(s.url+"/#/projects/p/jobs/%00%07%0A%7F%C2%80%E2%80%AE/runs/r"))
	b.until("them escaped", `document.querySelector("#path").innerText.includes("\\x00\\a\\n\\x7f\\u0080\\u202e")`)
	b.quiet(s.url)
}

// TestFindPageShowsNamesAsText has a run whose name would do something as HTML.
func TestFindPageShowsNamesAsText(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	b := newTab(t, screens[1])
	b.find(s.url+"/#/projects/shop/jobs/hostile", token)
	b.heading("hostile")
	name := get(b, "the name", chromedp.Evaluate[string]("document.querySelector('tbody a').textContent"))
	if name != hostileName {
		t.Errorf("the page shows %q, want %q", name, hostileName)
	}
	b.do("open the run", chromedp.Click(chromedp.CSS("tbody a")))
	b.heading(hostileName)
	if n := get(b, "the elements",
		chromedp.Evaluate[int]("document.querySelectorAll('main :is(script, img, b)').length")); n != 0 {
		t.Errorf("the name has become %d elements", n)
	}
	b.quiet(s.url)
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
		for _, width := range []int64{320, 600, 960, 961, 1920} {
			b.do("change the size", chromedp.EmulateViewport(width, 740))
			b.width = width
			b.fits(fmt.Sprintf("at %s, %d wide", heading, width))
		}
	}
}
