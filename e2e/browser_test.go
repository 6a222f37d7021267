//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// patience is how long the browser may take for all of a test. Nothing waits for it but a test that
// fails.
const patience = 2 * time.Minute

// tab is a tab of a browser of its own, which forgets everything with the test.
type tab struct {
	*testing.T
	ctx   context.Context
	width int64

	mu       sync.Mutex
	requests []string                   // the URLs that were asked for
	problems []string                   // what the console says
	waiting  map[network.RequestID]bool // the requests to the API without a response
	canceled int                        // how many requests to the API the page has canceled
}

// screen is what the page is shown on.
type screen struct {
	name          string
	width, height int64
	options       []chromedp.EmulateViewportOption
}

var wide = screen{"wide", 1400, 900, nil}

// newTab starts a browser with the screen.
func newTab(t *testing.T, on screen) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs Chromium, Debian's package chromium: %v", err)
	}
	start := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		start = append(start, chromedp.NoSandbox) // it refuses to have one for root
	}
	limited, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewExecAllocator(limited, start...)
	t.Cleanup(cancel)
	b := &tab{T: t, width: on.width, waiting: map[network.RequestID]bool{}}
	b.ctx, _ = chromedp.NewContext(browser, chromedp.WithListener(b.note))
	t.Cleanup(func() {
		if err := chromedp.Cancel(b.ctx); err != nil {
			t.Errorf("the browser does not end: %v", err)
		}
	})
	b.do("start", chromedp.EmulateViewport(on.width, on.height, on.options...))
	return b
}

// note remembers what must not happen, and all requests.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, event.Request.URL)
		if strings.Contains(event.Request.URL, "/v1/") {
			b.waiting[event.RequestID] = true
		}
	case *network.EventLoadingFinished:
		delete(b.waiting, event.RequestID)
	case *network.EventLoadingFailed:
		if b.waiting[event.RequestID] && event.Canceled {
			b.canceled++
		}
		delete(b.waiting, event.RequestID)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, event.URL)
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, asJSON(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, asJSON(event.Args))
	case *log.EventEntryAdded:
		// The browser notes every response that is an error, as a resource that has failed to load.
		answer := event.Entry.Source == log.EntrySourceNetwork && strings.Contains(event.Entry.URL, "/v1/")
		if event.Entry.Level != log.EntryLevelVerbose && !answer {
			b.problems = append(b.problems, asJSON(event.Entry))
		}
	}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// do fails the test unless all actions succeed.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.screenshot("failed")
		b.Fatalf("%s: %v; the console says %q", what, err, b.problems)
	}
}

// get fails the test unless the action succeeds, and returns what it finds.
func get[V any](b *tab, what string, action chromedp.Action[V]) V {
	b.Helper()
	var found V
	b.do(what, func(ctx context.Context, target *chromedp.Target) (_ chromedp.Void, err error) {
		found, err = action(ctx, target)
		return chromedp.Void{}, err
	})
	return found
}

// screenshot keeps a picture for who runs the test with -artifacts.
func (b *tab) screenshot(name string) {
	b.Helper()
	if flag.Lookup("test.artifacts").Value.String() != "true" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.Logf("no screenshot: %v", err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		b.Error(err)
	}
}

// fits checks that nothing is wider than the window.
func (b *tab) fits(when string) {
	b.Helper()
	width := get(b, when, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	if width > b.width {
		b.Errorf("%s, the page is %d wide, in a window of %d", when, width, b.width)
	}
}

// quiet checks that the console is empty, and that nothing but the origin was asked for anything.
func (b *tab) quiet(origin string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff([]string(nil), b.problems); diff != "" {
		b.Errorf("the console (-want +got):\n%s", diff)
	}
	if len(b.requests) == 0 {
		b.Error("no request was seen")
	}
	for _, request := range b.requests {
		u, err := url.Parse(request)
		if err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != origin {
			b.Errorf("the page asks for %s", request)
		}
	}
}

// The parts of the page. The operation is getJobRun.
const (
	dialogPart    = ".dialog-ux .auth-container"
	operationPart = "#operations-runs-getJobRun"
	runPart       = operationPart + ` tr[data-param-name="runId"] input`
	answerPart    = operationPart + " .live-responses-table .response"
)

// open goes to the page, and waits until it shows the document.
func (b *tab) open(server string) {
	b.Helper()
	b.do("open the page", chromedp.Navigate(server+"/v1/swagger-html"),
		chromedp.WaitVisible(chromedp.CSS(operationPart)))
	b.fits("at first")
}

// authorize pastes the token.
func (b *tab) authorize(token string) {
	b.Helper()
	b.do("authorize",
		chromedp.Click(chromedp.CSS(".scheme-container .btn.authorize"), chromedp.NodeVisible),
		chromedp.SendKeys(chromedp.CSS(dialogPart+" input"), token, chromedp.NodeVisible),
		chromedp.Click(chromedp.CSS(dialogPart+" .auth-btn-wrapper .authorize")),
		chromedp.WaitNotPresent(chromedp.CSS(dialogPart+" input")), // the dialog has taken it
	)
	b.fits("with the dialog")
	b.do("close the dialog",
		chromedp.Click(chromedp.CSS(dialogPart+" .btn-done")),
		chromedp.WaitNotPresent(chromedp.CSS(".dialog-ux")),
	)
}

// execute asks for a run.
func (b *tab) execute(run string) {
	b.Helper()
	b.do("open the operation",
		chromedp.Click(chromedp.CSS(operationPart+" .opblock-summary-control")),
		chromedp.WaitVisible(chromedp.CSS(runPart)),
	)
	b.fits("with the operation")
	get(b, "select the example", chromedp.Evaluate[chromedp.Void]("document.querySelector('"+runPart+"').select()"))
	b.do("execute",
		chromedp.SendKeys(chromedp.CSS(runPart), run),
		chromedp.Click(chromedp.CSS(operationPart+" .execute")),
	)
}

// answer returns the status and the body that the page shows.
func (b *tab) answer() (status, body string) {
	b.Helper()
	b.do("wait for the response", chromedp.WaitVisible(chromedp.CSS(answerPart+" .highlight-code code")))
	b.fits("with the response")
	status = get(b, "the status", chromedp.Text(chromedp.CSS(answerPart+" .response-col_status")))
	body = get(b, "the body", chromedp.Text(chromedp.CSS(answerPart+" .highlight-code code")))
	return status, body
}
