//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// memoryLimit is by how much an attack may make the server grow. Part of it is Go's garbage
// collector, which lets memory double before it collects.
const memoryLimit = 96 << 20

func dial(t testing.TB, s *apiServer) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestServerStaysSmallUnderAttack sends tokens that do not exist, headers of a megabyte, and
// connections that never send a whole request. Afterwards the server keeps nothing of them.
func TestServerStaysSmallUnderAttack(t *testing.T) {
	store, token := documentedStore(t)
	admin := freeAddress(t)
	s := serve(t, store, "--admin-addr", admin)
	goroutines := func() (n int) {
		_, metrics := read(t, "http://"+admin+"/metrics")
		_, rest, _ := strings.Cut(metrics, "\ngo_goroutines ")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatalf("%v: %s", err, metrics)
		}
		return n
	}
	ask(t, s, token, runPath, http.StatusOK)
	memory, before := residentBytes(t, s.process.Process.Pid), goroutines()

	for range 1000 { // the server closes these after 5 seconds
		c := dial(t, s)
		defer c.Close()
		_, _ = io.WriteString(c, "GET "+runPath+" HTTP/1.1\r\nHost: x\r\n")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				secret, _ := jobrun.NewSecret()
				response, err := http.DefaultClient.Do(newRequest(t, s, secret, runPath))
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				if s := response.StatusCode; s != http.StatusUnauthorized && s != http.StatusTooManyRequests {
					t.Error(response.Status)
				}
			}
			large := "GET " + runPath + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"
			for range 20 {
				c := dial(t, s)
				_, _ = io.WriteString(c, large)
				// The response may be lost, because the server closes while there is more to read.
				response, _ := io.ReadAll(c)
				if len(response) > 0 && !strings.HasPrefix(string(response), "HTTP/1.1 431") {
					t.Errorf("the response is %q", response)
				}
				c.Close()
			}
		})
	}
	all.Wait()
	ask(t, s, token, runPath, http.StatusOK)
	grown := residentBytes(t, s.process.Process.Pid) - memory
	t.Logf("the server has grown by %d KiB", grown>>10)
	if grown > memoryLimit {
		t.Errorf("the server has grown by %d bytes", grown)
	}
	for goroutines() > before+20 { // connections of this test stay open
		time.Sleep(10 * time.Millisecond)
	}
}
