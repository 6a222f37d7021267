//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// attacked is a server with a run in it that must go on answering, and what it takes before it is
// attacked.
type attacked struct {
	*apiServer
	token      string
	memory     int
	goroutines int
	admin      string
}

// memoryLimit is by how much an attack may make the server grow. Part of it is Go's garbage
// collector, which lets memory double before it collects.
const memoryLimit = 96 << 20

func newAttacked(t *testing.T, args ...string) *attacked {
	t.Helper()
	store, token := documentedStore(t)
	admin := freeAddress(t)
	a := &attacked{
		apiServer: serve(t, store, append(args, "--admin-addr", admin)...),
		token:     token,
		admin:     "http://" + admin,
	}
	ask(t, a.apiServer, token, runPath, http.StatusOK)
	a.goroutines = a.countGoroutines(t)
	a.memory = residentBytes(t, a.process.Process.Pid)
	return a
}

// countGoroutines asks the admin listener, which may be a moment late.
func (a *attacked) countGoroutines(t *testing.T) int {
	t.Helper()
	for {
		response, err := http.Get(a.admin + "/metrics")
		if err != nil {
			continue // the test's own deadline is the only limit
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		_, rest, found := strings.Cut(string(text), "\ngo_goroutines ")
		var n int
		if _, scanErr := fmt.Sscan(rest, &n); err != nil || !found || scanErr != nil {
			t.Fatalf("%v, %v: %s", err, scanErr, text)
		}
		return n
	}
}

// wantUnharmed checks, when the attack is over, that the server answers, has not grown without
// bounds, and keeps nothing of who has gone.
func (a *attacked) wantUnharmed(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	ask(t, a.apiServer, a.token, runPath, http.StatusOK)
	http.DefaultClient.CloseIdleConnections()
	grown := residentBytes(t, a.process.Process.Pid) - a.memory
	t.Logf("the server has grown by %d KiB", grown>>10)
	if grown > memoryLimit {
		t.Errorf("the server has grown by %d bytes", grown)
	}
	for a.countGoroutines(t) > a.goroutines+5 { // connections of this test that are about to be closed
		time.Sleep(10 * time.Millisecond)
	}
}

// flood sends n requests over some connections, so many at a time without waiting for a response,
// and has each response checked. Where the server closes the connection, the rest goes over a new
// one.
func (a *attacked) flood(
	t *testing.T,
	n, batch int,
	request func(i int) string,
	check func(*http.Response, []byte) error,
) {
	t.Helper()
	const connections = 8
	var next atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for !t.Failed() {
				first := int(next.Add(int64(batch))) - batch
				if first >= n {
					return
				}
				var texts []string
				for i := range min(batch, n-first) {
					texts = append(texts, request(first+i))
				}
				for len(texts) > 0 {
					answers, err := a.send(texts, check)
					if err != nil {
						t.Errorf("%q: %v", texts[answers], err)
						return
					}
					texts = texts[answers:]
				}
			}
		})
	}
	all.Wait()
}

// send sends requests over a new connection, and returns how many of them were answered before it
// was closed: at least one, or else an error.
func (a *attacked) send(texts []string, check func(*http.Response, []byte) error) (answered int, err error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_, _ = io.WriteString(c, strings.Join(texts, "")) // fails when the server has read enough
	reader := bufio.NewReader(c)
	for answered < len(texts) {
		response, err := http.ReadResponse(reader, nil)
		if err != nil && answered > 0 {
			return answered, nil
		}
		if err != nil {
			return 0, fmt.Errorf("no response: %w", err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return answered, err
		}
		if err := check(response, body); err != nil {
			return answered, err
		}
		answered++
		if response.Close {
			return answered, nil
		}
	}
	return answered, nil
}

// clean checks that a response is the contract's error object, or the plain text with which net/http
// rejects a request before it closes the connection.
func clean(response *http.Response, body []byte) error {
	if response.StatusCode >= 400 && response.Close && response.Header.Get("X-Request-Id") == "" {
		return nil
	}
	var answer model.ErrorResult
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %w: %s", response.Status, err, body)
	}
	if answer.Error.Status != response.StatusCode || answer.Error.Message == "" || answer.Error.ID == "" ||
		response.StatusCode < 400 || response.StatusCode >= 500 {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

// TestRandomTokens sends tokens of the right form that do not exist.
func TestRandomTokens(t *testing.T) {
	a := newAttacked(t)
	defer a.wantUnharmed(t)
	a.flood(t, 20_000, 50, func(int) string {
		secret, _ := jobrun.NewSecret()
		return "GET " + runPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\n\r\n"
	}, func(response *http.Response, body []byte) error {
		if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusTooManyRequests {
			return errors.New(response.Status)
		}
		return clean(response, body)
	})
}

// TestMalformedPaths sends paths of all kinds of bytes, with a good token; one at a time, for the
// answer to one that is no request can be lost where another follows.
func TestMalformedPaths(t *testing.T) {
	a := newAttacked(t, "--rate-limit", "0")
	defer a.wantUnharmed(t)
	pieces := []string{
		"/", "//", ".", "..", "%", "%2F", "%2f", "%00", "%zz", "%C0%AE", "%u002e", ";", "\\", "?", "#", "+", "*", "ü",
		"v1", "projects", "jobs", "runs", "teams", "default-project", "{runId}", "\x00", "\x7f", "\xff", " HTTP/1.1",
		"@", ":8080", "http://x",
	}
	a.flood(t, 20_000, 1, func(int) string {
		var path strings.Builder
		path.WriteString([]string{"/", "/v1/projects/p/jobs/j/runs/", ""}[rand.N(3)])
		for range rand.N(12) {
			if piece := pieces[rand.N(len(pieces))]; rand.N(10) > 0 {
				path.WriteString(piece)
			} else if b := byte(rand.N(256)); b != '\n' && b != '\r' {
				path.WriteByte(b)
			}
		}
		path.WriteString("!") // so that it is no run's
		return "GET " + path.String() + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.token + "\r\n\r\n"
	}, func(response *http.Response, body []byte) error {
		if response.StatusCode == http.StatusOK && strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			return nil // the page for people, at "/?..."
		}
		return clean(response, body)
	})
}

// TestPipelining sends good requests, all at once, and has them answered in their order.
func TestPipelining(t *testing.T) {
	a := newAttacked(t, "--rate-limit", "0")
	defer a.wantUnharmed(t)
	a.flood(t, 5_000, 50, func(i int) string {
		return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nX-Request-Id: %d\r\nAuthorization: Bearer %s\r\n\r\n",
			runPath, i, a.token)
	}, func(response *http.Response, body []byte) error {
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), documented.Run) {
			return fmt.Errorf("%s: %s", response.Status, body)
		}
		return nil
	})
}

// TestSmuggling sends requests whose end can be read in two ways, with another request where the
// one ends too early. That one must not be answered.
func TestSmuggling(t *testing.T) {
	a := newAttacked(t, "--rate-limit", "0")
	defer a.wantUnharmed(t)
	head := "GET " + runPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + a.token + "\r\n"
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, text := range map[string]string{
		"a length and chunks":         head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"two codings":                 head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
		"a space before the colon":    head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"an obscured coding":          head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"a tab before the coding":     head + "Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":                 head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled,
		"a list of lengths":           head + "Content-Length: 0, 44\r\n\r\n" + smuggled,
		"a signed length":             head + "Content-Length: +0\r\n\r\n" + smuggled,
		"a folded header":             head + "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 44\r\n\r\n" + smuggled,
		"a carriage return in a name": head + "X: a\rContent-Length: 44\r\n\r\n" + smuggled,
		"a body of a GET":             head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled,
		"chunks of a GET":             head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"a body of another method":    strings.Replace(head, "GET", "POST", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled,
		"a chunk of a wrong length":   head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + smuggled,
		"a large chunk":               head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, a.apiServer)
			defer c.Close()
			_, _ = io.WriteString(c, text)
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			everything, err := io.ReadAll(c)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			if strings.Count(string(everything), "HTTP/1.1 ") != 1 {
				t.Errorf("%q is answered by %q", text, everything)
			}
		})
	}
}

// TestLargeHeaders sends a header of a megabyte, over and over.
func TestLargeHeaders(t *testing.T) {
	a := newAttacked(t)
	defer a.wantUnharmed(t)
	large := "GET " + runPath + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				c, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(c, large)
				// The response may be lost: the server closes while there is more to read.
				answer, _ := io.ReadAll(c)
				c.Close()
				if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 431") {
					t.Errorf("answered by %q", answer)
				}
			}
		})
	}
	all.Wait()
}

// TestIdleAndSlowConnections holds many connections that say nothing, and some that never finish
// their headers, while others are served.
func TestIdleAndSlowConnections(t *testing.T) {
	const idle, slow, requests = 2_000, 200, 500
	a := newAttacked(t, "--rate-limit", "0")
	defer a.wantUnharmed(t)
	measure := func() time.Duration {
		var times []time.Duration
		for range requests {
			begin := time.Now()
			ask(t, a.apiServer, a.token, runPath, http.StatusOK)
			times = append(times, time.Since(begin))
		}
		return median(times)
	}
	before := measure()
	for range idle {
		c := dial(t, a.apiServer)
		defer c.Close()
	}
	var slowOnes []net.Conn
	for range slow {
		c := dial(t, a.apiServer)
		defer c.Close()
		_, _ = io.WriteString(c, "GET "+runPath+" HTTP/1.1\r\nHost: x\r\n")
		slowOnes = append(slowOnes, c)
	}
	during := measure()
	t.Logf("half of the requests take up to %s, before it was %s: %.1f times", during, before,
		float64(during)/float64(before))
	for i := 0; ; i++ {
		// Each line is another chance to be waited for. The server has enough of it after 5
		// seconds.
		closed := 0
		for _, c := range slowOnes {
			if _, err := io.WriteString(c, fmt.Sprintf("X-%d: x\r\n", i)); err != nil {
				closed++
			}
		}
		if closed == slow {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
}
