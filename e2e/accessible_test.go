//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axeCore finds what keeps people from using a page.
const axeCore = "axe-core@4.14.1"

// atStart has each document that the tab loads evaluate the script first.
func (b *tab) atStart(script string) {
	b.Helper()
	b.do("a script for each document", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// countShifts sums up how far what a page shows moves while it loads.
const countShifts = `window.shifts = 0; new PerformanceObserver((list) => {
	for (const shift of list.getEntries()) { window.shifts += shift.hadRecentInput ? 0 : shift.value; }
}).observe({ type: 'layout-shift', buffered: true })`

// steady checks that the layout has shifted less than 0.1 since the document was loaded.
func (b *tab) steady(when string) {
	b.Helper()
	if shifts := get(b, when, chromedp.Evaluate[float64]("shifts")); shifts >= 0.1 {
		b.Errorf("%s: the layout has shifted by %g", when, shifts)
	}
}

// accessible checks that the page has no violation of the levels A and AA.
func (b *tab) accessible(when string) {
	b.Helper()
	script, err := os.ReadFile(filepath.Join(npmInstall(b, axeCore), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.Fatal(err)
	}
	get(b, "axe-core", chromedp.Evaluate[chromedp.Void](string(script)+"; undefined"))
	violations := get(b, when, chromedp.Evaluate[[]string](`
		axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then(({ violations }) =>
			violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
				[id, ...target, ...[...any, ...all, ...none].map(({ message }) => message)].join(' '))))`,
		chromedp.EvalAwaitPromise))
	for _, violation := range violations {
		b.Errorf("%s: %s", when, violation)
	}
	if n := get(b, when, chromedp.Evaluate[int]("document.querySelectorAll('main h1').length")); n != 1 {
		b.Errorf("%s: main has %d headings of the first level", when, n)
	}
}

func TestPagesAreAccessible(t *testing.T) {
	store, token := shopStore(t)
	s := serve(t, store)
	for i, scheme := range []string{"light", "dark"} {
		on := screens[i]
		t.Run("documentation, "+scheme, func(t *testing.T) {
			b := newTab(t, on)
			b.media("prefers-color-scheme", scheme)
			b.atStart(countShifts)
			b.open(s.url)
			b.accessible("at first")
			b.steady("at first")
			b.do("the dialog", chromedp.Click(chromedp.CSS(".scheme-container .btn.authorize"), chromedp.NodeVisible),
				chromedp.WaitVisible(chromedp.CSS(dialogPart+" input")))
			b.accessible("the dialog")
			b.do("close it", chromedp.KeyEvent(kb.Escape), chromedp.Click(chromedp.CSS(".close-modal")))
			b.authorize(token)
			b.execute("none")
			b.answer()
			// Between them, these have each kind of control. All together would take a minute.
			get(b, "open some", chromedp.Evaluate[chromedp.Void](
				"document.querySelectorAll(':is(#operations-runs-recordJobRun, #operations-jobs-listJobs, "+
					"#operations-jobs-getJobLogs, .models) [aria-expanded=false]').forEach((button) => button.click())"))
			b.do("them", chromedp.WaitVisible(chromedp.CSS("#operations-runs-recordJobRun textarea")),
				chromedp.WaitVisible(chromedp.CSS("#operations-jobs-getJobLogs select")))
			b.accessible("with operations open")
			b.quiet(s.url)
		})
		t.Run("runs, "+scheme, func(t *testing.T) {
			b := newTab(t, on)
			b.media("prefers-color-scheme", scheme)
			b.atStart(countShifts)
			b.do("open the page", chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("form input")))
			b.accessible("the form")
			b.do("a wrong token", chromedp.SendKeys(chromedp.CSS("form input"), "x"+kb.Enter))
			b.until("an error", "document.querySelector('.error').textContent")
			b.accessible("an error")
			b.do("the token", chromedp.Clear(chromedp.CSS("form input")),
				chromedp.SendKeys(chromedp.CSS("form input"), token+kb.Enter))
			for _, at := range [][2]string{
				{"", "Projects"},
				{"projects/shop", "shop"},
				{"projects/shop/jobs/nightly-backup", "nightly-backup"},
				{"projects/shop?status=FAILED", "shop"},
				{"projects/shop/jobs/nightly-backup/runs/d34506e8-35bd-4c71-8e7c-e36999b88723", "nightly-backup-5fc9035856e1913e21d49504"},
				{"projects/none", "There is nothing here"},
			} {
				b.do(at[1], chromedp.Navigate(s.url+"/#/"+at[0]))
				b.heading(at[1])
				b.accessible(at[1])
				b.steady(at[1])
			}
			b.quiet(s.url)
		})
	}
}
