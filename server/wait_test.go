package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// newRunningAPI returns an api whose example run has not concluded, and the secret of a token that
// may see it.
func newRunningAPI(t testing.TB) (*api, string) {
	t.Helper()
	a, secret := newFilledAPI(t)
	run := exampleRun(t)
	run.Status, run.Active, run.Concluded, run.ConcludedAt = model.JobRunStatusRunning, model.FlagYes, false, nil
	a.store.runs[exampleKey] = run
	a.store.concluded = make(chan model.JobRun)
	a.store.left = make(chan error, 1)
	return a, secret
}

// preferring returns a GET for the example run as it goes over the wire, with lines of the Prefer
// header.
func preferring(t *testing.T, secret string, prefer ...string) string {
	t.Helper()
	var lines strings.Builder
	for _, p := range prefer {
		fmt.Fprintf(&lines, "Prefer: %s\r\n", p)
	}
	return strings.Replace(get(runPath(t, exampleKey), secret), "\r\n\r\n", "\r\n"+lines.String()+"\r\n", 1)
}

// TestWaitIsOverWhenTheTimeIsUp runs in a bubble, whose time passes only when all wait.
func TestWaitIsOverWhenTheTimeIsUp(t *testing.T) {
	for _, test := range []struct {
		prefer []string
		held   time.Duration
		header string
	}{
		{[]string{"wait=10"}, 10 * time.Second, "wait=10"},
		{[]string{"wait=3600"}, 55 * time.Second, "wait=55"},
		{[]string{"respond-async", "wait=2"}, 2 * time.Second, "wait=2"},
		{[]string{"wait=0"}, 0, "wait=0"},
		{[]string{"wait=soon"}, 0, ""},
		{nil, 0, ""},
	} {
		t.Run(strings.Join(test.prefer, "+"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newRunningAPI(t)
				s := a.serve()
				c := s.connect(t)
				begin := time.Now()
				write(t, c, preferring(t, secret, test.prefer...))
				response, err := http.ReadResponse(c.reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if held := time.Since(begin); held != test.held {
					t.Errorf("held for %s, want %s", held, test.held)
				}
				if got := response.Header.Get(
					"Preference-Applied",
				); got != test.header ||
					response.StatusCode != http.StatusOK {
					t.Errorf("status %d, Preference-Applied %q; want 200 and %q", response.StatusCode, got, test.header)
				}
				s.shutDown(t)
			})
		})
	}
}

func TestWaitIsOverBeforeTheTimeIsUp(t *testing.T) {
	for name, test := range map[string]struct {
		held time.Duration
		end  func(*api, serving)
		want string
	}{
		// Longer than other responses may take to be written.
		"the run concludes":     {40 * time.Second, func(a *api, _ serving) { a.store.concluded <- exampleRun(t) }, `"concluded":true`},
		"the server shuts down": {time.Second, func(_ *api, s serving) { s.stop() }, `"concluded":false`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newRunningAPI(t)
				s := a.serve()
				c := s.connect(t)
				go func() {
					time.Sleep(test.held)
					test.end(a, s)
				}()
				begin := time.Now()
				status, body, err := c.ask(preferring(t, secret, "wait=60"))
				if err != nil || status != http.StatusOK || !strings.Contains(body, test.want) {
					t.Errorf("%d %s %v", status, body, err)
				}
				if held := time.Since(begin); held != test.held {
					t.Errorf("held for %s, want %s", held, test.held)
				}
				s.shutDown(t)
			})
		})
	}
}

func TestCallerWhoLeavesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newRunningAPI(t)
		s := a.serve()
		c := s.connect(t)
		write(t, c, preferring(t, secret, "wait=60"))
		synctest.Wait()
		time.Sleep(20 * time.Second) // longer than a request has to be read
		begin := time.Now()
		c.Close()
		if err := <-a.store.left; !errors.Is(err, context.Canceled) {
			t.Errorf("the wait ends with %v, want %v", err, context.Canceled)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("the wait ends after %s", took)
		}
		s.shutDown(t)
	})
}

// heldRequest returns a request for the run that prefers to wait.
func heldRequest(t *testing.T, path, secret string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Prefer", "wait=60")
	return r
}

func TestWhatDoesNotExistIsNotWaitedFor(t *testing.T) {
	a, secret := newRunningAPI(t)
	missing := exampleKey
	missing.Run = "missing"
	if got := a.send(heldRequest(t, runPath(t, missing), secret)); got.status != http.StatusNotFound {
		t.Errorf("status %d, want 404", got.status)
	}
}

// The store is asked when the request comes, and again to wait.
func TestTroubleWhileTheAnswerIsHeld(t *testing.T) {
	for status, trouble := range map[int]func() error{
		http.StatusServiceUnavailable:  func() error { return jobrun.ErrUnavailable },
		http.StatusInternalServerError: func() error { panic("at the disco") },
	} {
		a, secret := newRunningAPI(t)
		asked := 0
		a.store.onRun = func() error {
			if asked++; asked == 1 {
				return nil
			}
			return trouble()
		}
		if got := a.send(heldRequest(t, runPath(t, exampleKey), secret)); got.status != status || asked != 2 {
			t.Errorf("status %d after %d questions, want %d after 2", got.status, asked, status)
		}
	}
}
