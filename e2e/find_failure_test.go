//go:build e2e

package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// markup is printed by a run, with what a terminal and a browser would act upon.
const markup = `i=0; while [ $i -lt 60 ]; do echo "line $i of what the command prints"; i=$((i+1)); done
	printf '<b>bold</b><script>alert(1)</script>\t\033[31mred\033[0m\342\200\256\r\n'
	printf '%0200d\n' 7
	echo 'rsync: connection unexpectedly closed'
	[ -e twice ] && exit 23; [ -e once ] && touch twice; touch once; exit 12`

// clock matches the time of a line.
var clock = regexp.MustCompile(`(?m)^[0-9]+:[0-9:]+(.[AP]M)?  `)

// TestFindPageSaysWhyARunFailed looks at a run that failed, with a token that may read logs, and
// with one that may not.
func TestFindPageSaysWhyARunFailed(t *testing.T) {
	a := newAPI(t, newStore(t))
	id := failedRun(t, a, markup)
	token := a.logsToken(t)
	states := output(t, "jobrund", "token", "create", "--name", "states", "--store", a.store)
	s := a.server
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for i, scheme := range []string{"light", "dark"} {
		on := screens[i]
		t.Run(on.name+", "+scheme, func(t *testing.T) {
			b := newTab(t, on)
			b.media("prefers-color-scheme", scheme)
			b.find(s.url+"/#/projects/p/jobs/j/runs/"+id, token)
			b.until("the log", "document.querySelector('pre')?.scrollTop > 0")
			b.fits("with the log")
			got := b.details()
			if diff := cmp.Diff([]string{"✕ FAILED", "exit status 23", host},
				[]string{got["Status"], got["Reason"], got["Host"]}); diff != "" {
				t.Errorf("the run (-want +got):\n%s", diff)
			}
			attempts := get(b, "the attempts", chromedp.Evaluate[[]string](
				"Array.from(document.querySelectorAll('tbody tr'), (row) => "+
					"row.children[0].textContent + ': ' + row.children[1].textContent)"))
			if diff := cmp.Diff([]string{
				"Attempt 1: exit status 12", "Attempt 2: exit status 12", "Attempt 3: exit status 23",
			}, attempts); diff != "" {
				t.Errorf("the attempts (-want +got):\n%s", diff)
			}
			text := get(b, "the log", chromedp.Evaluate[string]("document.querySelector('pre').textContent"))
			if times := clock.FindAllString(text, -1); len(times) != strings.Count(text, "\n") {
				t.Errorf("%d lines of the log have a time: %q", len(times), text)
			}
			text = clock.ReplaceAllString(text, "")
			if !strings.Contains(text, "line 59 of what the command prints\n<b>bold</b><script>alert(1)</script>\t"+
				`red\u202e`+"\n") || !strings.HasSuffix(text, "unexpectedly closed\n") {
				t.Errorf("the log is shown as %q", text)
			}
			if n := get(b, "elements", chromedp.Evaluate[int]("document.querySelectorAll('pre *').length")); n != 0 {
				t.Errorf("the log has become %d elements", n)
			}
			for _, width := range []int64{320, 600, 960, 961} {
				b.do("change the size", chromedp.EmulateViewport(width, 740))
				b.width = width
				b.fits("with the log")
			}
			b.quiet(s.url)
		})
	}
	t.Run("a token for states", func(t *testing.T) {
		b := newTab(t, screens[0])
		b.find(s.url+"/#/projects/p/jobs/j/runs/"+id, states)
		b.until("the attempts", "document.querySelectorAll('tbody tr').length === 3")
		b.waits(0, 0)
		if text := b.mainText(); b.details()["Reason"] != "exit status 23" || strings.Contains(text, "utput") ||
			strings.Contains(text, "403") {
			t.Errorf("the page says: %s", text)
		}
		b.quiet(s.url)
	})
}

// TestFindPageSaysWhyWhenARunFails looks at a run until it fails.
func TestFindPageSaysWhyWhenARunFails(t *testing.T) {
	a := newAPI(t, newStore(t))
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	id, finish := unfinished(t, a, "exit 7")
	b := newTab(t, screens[1])
	b.find(a.server.url+"/#/projects/p/jobs/j/runs/"+id, token)
	b.until("the run", "document.querySelector('dl')")
	b.waits(1, 0)
	finish()
	b.until("the reason", "document.querySelector('dl').textContent.includes('exit status 7')")
	b.until("the news", "/^The run has concluded: FAILED, after .*[.] Reason: exit status 7[.]$/"+
		".test(document.querySelector('#news').textContent)")
	if n := b.rows(); n != 0 {
		t.Errorf("there are %d attempts, of one that says nothing more", n)
	}
	b.quiet(a.server.url)
}

// TestFindPageListsFailedRunsOfProject looks at what failed in all jobs of a project.
func TestFindPageListsFailedRunsOfProject(t *testing.T) {
	a := newAPI(t, newStore(t))
	id := failedRun(t, a, "exit 23")
	for range 60 {
		cmd := recorded(t, a, "exit 1", "--job", "other", "--backoff-limit", "0", "--quiet")
		if cmd.Run() == nil {
			t.Fatal("the run has not failed")
		}
	}
	token := output(t, "jobrund", "token", "create", "--name", "page", "--store", a.store)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range screens {
		b := newTab(t, on)
		b.find(a.server.url+"/#/projects/p", token)
		b.heading("p")
		b.follow("Failed")
		b.until("50 failed runs", "document.querySelectorAll('h2 ~ table tbody tr').length === 50")
		b.do("more", chromedp.Click(chromedp.CSS("h2 ~ .more"), chromedp.NodeVisible))
		b.until("all of them", "document.querySelectorAll('h2 ~ table tbody tr').length === 61")
		const row = "Array.from(document.querySelectorAll('h2 ~ table tbody tr')).find((row) => row.firstChild.textContent === 'j')"
		cells := get(b, "the cells", chromedp.Evaluate[[]string]("Array.from("+row+".children, (cell) => cell.textContent)"))
		if len(cells) != 5 || cells[2] != "exit status 23" || cells[3] != host {
			t.Errorf("the row is %q", cells)
		}
		get(b, "open the run", chromedp.Evaluate[chromedp.Void](row+".children[1].querySelector('a').click()"))
		b.until("the run", "document.querySelector('dl')?.textContent.includes('"+id+"')")
		b.quiet(a.server.url)
	}
}
