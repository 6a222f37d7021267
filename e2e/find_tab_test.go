//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/jobruns/jobruns/gen/model"
)

// hostileName is a run name that the store takes, with markup.
const hostileName = "<script>alert(1)</script><img src=x onerror=alert(2)> &lt;b&gt;"

// longJob is an id as long as the contract allows, with nowhere to break it.
var longJob = strings.Repeat("reconciletheledgers", 13) + "ofall1"

// screens are what people find runs with.
var screens = []screen{
	{"wide", 1280, 800, nil},
	{
		"phone",
		360,
		740,
		[]chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)},
	},
}

// line is one of the lines that jobrund import takes.
type line struct {
	Team    string       `json:"teamId"`
	Project string       `json:"projectId"`
	Job     string       `json:"jobId"`
	Run     model.JobRun `json:"run"`
}

// history returns n runs of a job, the last of which started at the time, and the others a day
// before each other. One in failing has failed; 0 is none.
func history(team, project, job string, last time.Time, n, failing int) []line {
	lines := make([]line, n)
	for i := range lines {
		start := last.AddDate(0, 0, -i).UTC().Truncate(time.Second)
		end := start.Add(time.Duration(187+i*37%1900) * time.Second)
		run := model.JobRun{
			ID:           fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", 0xd34582a4-i*7919),
			BackoffLimit: 3,
			Completions:  1,
			Concluded:    true,
			RunName:      fmt.Sprintf("%s-%08x56e1913e21d49504", job, 0x5fcf67bc-i*104729),
			Status:       model.JobRunStatusSuccess,
			Succeeded:    1,
			StartedAt:    start,
			ConcludedAt:  &end,
		}
		if failing > 0 && i%failing == failing/2 {
			run.Status, run.Succeeded, run.Failed, run.Completions = model.JobRunStatusFailed, 0, 1, 4
		}
		lines[i] = line{team, project, job, run}
	}
	return lines
}

// importLines makes a store of the runs.
func importLines(t *testing.T, lines ...[]line) (store string) {
	t.Helper()
	var text strings.Builder
	for _, some := range lines {
		for _, l := range some {
			data, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(data, '\n'))
		}
	}
	store = newStore(t)
	importer := program(t, "jobrund", "import", "--store", store)
	importer.Stdin = strings.NewReader(text.String())
	if out, err := importer.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	return store
}

// shopStore is a store as a small company has it, with a token.
func shopStore(t *testing.T) (store, token string) {
	t.Helper()
	last := time.Now().Add(-3 * time.Hour)
	hostile := history("default", "shop", "hostile", last, 1, 0)
	hostile[0].Run.RunName = hostileName
	store = importLines(t,
		history("default", "shop", "nightly-backup", last, 137, 9),
		history("default", "shop", "send-invoices", last.Add(-40*time.Minute), 3, 0),
		history("default", "shop", "rebuild-search-index", last.AddDate(0, 0, -2), 60, 1),
		history("default", "shop", longJob, last.AddDate(0, -1, 0), 12, 5),
		hostile,
		history("default", "website", "publish", last, 2, 0),
		history("default", "data-warehouse-staging", "load", last, 2, 0),
	)
	return store, output(t, "jobrund", "token", "create", "--name", "test", "--store", store)
}

// media has the browser tell the page that the person prefers something, such as dark colours.
func (b *tab) media(name, value string) {
	b.Helper()
	b.do(name, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: name, Value: value}},
		})
		return err
	}))
}

// until waits until the expression of JavaScript is true. chromedp's own way makes code of a text,
// which the page's policy forbids.
func (b *tab) until(what, expression string) {
	b.Helper()
	for b.ctx.Err() == nil {
		if get(b, what, chromedp.Evaluate[bool]("Boolean("+expression+")")) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.screenshot("failed")
	b.Fatalf("%s: it does not come to that; the console says %q", what, b.problems)
}

// heading waits until the page has the heading.
func (b *tab) heading(want string) {
	b.Helper()
	quoted, _ := json.Marshal(want)
	b.until("the heading "+want, fmt.Sprintf("document.querySelector('h1')?.textContent === %s", quoted))
	b.fits("at " + want)
}

// find opens the page, and pastes the token where it asks for it.
func (b *tab) find(address, token string) {
	b.Helper()
	b.do("open the page", chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("form input")))
	b.heading("Find a run")
	b.do("paste the token",
		chromedp.SendKeys(chromedp.CSS("form input"), token),
		chromedp.Click(chromedp.CSS("form button")),
	)
}

// follow clicks on the link with the text.
func (b *tab) follow(text string) {
	b.Helper()
	b.do("follow "+text,
		chromedp.Click(chromedp.Search(`//main//a[normalize-space(.)="`+text+`"]`), chromedp.NodeVisible))
}

// followWithKeys moves the focus with the tabulator to the link with the text, and follows it.
func (b *tab) followWithKeys(text string) {
	b.Helper()
	for range 30 {
		b.do("press the tabulator", chromedp.KeyEvent(kb.Tab))
		if get(b, "the focus", chromedp.Evaluate[string]("document.activeElement.textContent")) == text {
			ring := get(b, "the focus",
				chromedp.Evaluate[string]("getComputedStyle(document.activeElement).outlineStyle"))
			if ring != "solid" {
				b.Errorf("the focus on %s cannot be seen: its outline is %q", text, ring)
			}
			b.do("press Enter", chromedp.KeyEvent(kb.Enter))
			return
		}
	}
	b.Fatalf("the tabulator does not reach %q", text)
}

// details returns what the page says of a run, by the names of the lines.
func (b *tab) details() map[string]string {
	b.Helper()
	return get(b, "the details", chromedp.Evaluate[map[string]string](
		"Object.fromEntries(Array.from(document.querySelectorAll('dl div'), (line) => "+
			"[line.children[0].textContent, line.children[1].textContent]))"))
}

// rows returns how many rows the table has.
func (b *tab) rows() int {
	b.Helper()
	return get(b, "the rows", chromedp.Evaluate[int]("document.querySelectorAll('tbody tr').length"))
}

// mainText returns what the page says below its head.
func (b *tab) mainText() string {
	b.Helper()
	return get(b, "the text", chromedp.Evaluate[string]("document.querySelector('main').innerText"))
}

// waits waits until the page waits for as many responses, and has canceled as many requests.
func (b *tab) waits(responses, canceled int) {
	b.Helper()
	for b.ctx.Err() == nil {
		b.mu.Lock()
		same := len(b.waiting) == responses && b.canceled == canceled
		b.mu.Unlock()
		if same {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatalf("the page does not come to wait for %d responses with %d requests canceled", responses, canceled)
}

// hide has the page believe that the person looks at another tab, or at this one again.
func (b *tab) hide(hidden bool) {
	b.Helper()
	get(b, "hide the tab", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		"Object.defineProperty(document, 'hidden', { get: () => %t, configurable: true });"+
			"document.dispatchEvent(new Event('visibilitychange'))", hidden)))
}

// unfinished starts a run of job j in project p, and returns its id and what has it end: with the
// commands, or else well.
func unfinished(t *testing.T, a *api, last ...string) (id string, finish func()) {
	t.Helper()
	cmd := recorded(t, a, "while [ ! -e done ]; do sleep 0.1; done; "+strings.Join(last, "; "))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	text, err := bufio.NewReader(stderr).ReadString('\n') // once the run is recorded
	if err != nil {
		t.Fatal(err)
	}
	return runID(t, text), func() {
		t.Helper()
		if err := os.WriteFile(filepath.Join(cmd.Dir, "done"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		ended = true
		if err := cmd.Wait(); (err != nil) != (last != nil) {
			t.Fatal(err)
		}
	}
}
