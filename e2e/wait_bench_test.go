package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// importRuns imports runs run0, run1, ... of job j in project p, running or concluded.
func importRuns(t testing.TB, store string, n int, concluded bool) {
	t.Helper()
	fields := `"active":1,"completions":0,"concluded":false,"status":"RUNNING","succeeded":0,"concludedAt":null`
	if concluded {
		fields = `"active":0,"completions":1,"concluded":true,"status":"SUCCESS","succeeded":1,"concludedAt":"2020-12-08T11:52:08Z"`
	}
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(
			&lines,
			`{"projectId":"p","jobId":"j","run":{"id":"run%d","backoffLimit":0,"failed":0,"runName":"j-%d",`+
				`"startedAt":"2020-12-08T11:47:08Z",%s}}`+"\n",
			i,
			i,
			fields,
		)
	}
	cmd := program(t, "jobrund", "import", "--store", store)
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

// residentBytes reads a process's memory from /proc (proc_pid_status(5)).
func residentBytes(t testing.TB, pid int) int {
	t.Helper()
	return memoryOf(t, pid, "VmRSS:")
}

func memoryOf(t testing.TB, pid int, what string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), what)
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// BenchmarkWaiters has many wait for a run each, and concludes all runs at once. It reports what a
// waiter takes of the server's memory, and when the last one knows, beside as many requests that do
// not wait.
func BenchmarkWaiters(b *testing.B) { benchmarkWaiters(b, newStore) }

func benchmarkWaiters(b *testing.B, newStore func(testing.TB) string) {
	const waiters = 10_000
	for b.Loop() {
		store := newStore(b)
		importRuns(b, store, waiters, false)
		token := output(b, "jobrund", "token", "create", "--name", "test", "--store", store)
		s := serve(b, store)
		address := strings.TrimPrefix(s.url, "http://")

		before := residentBytes(b, s.process.Process.Pid)
		connections := make([]net.Conn, waiters)
		ask := func(i int, prefer string) error {
			_, err := fmt.Fprintf(connections[i],
				"GET /v1/projects/p/jobs/j/runs/run%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", i,
				token, prefer)
			return err
		}
		answer := func(i int) (string, error) {
			response, err := http.ReadResponse(bufio.NewReader(connections[i]), nil)
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			body := make([]byte, 1024)
			n, _ := response.Body.Read(body)
			return string(body[:n]), nil
		}
		all := func(do func(i int) error) time.Duration {
			begin := time.Now()
			var group sync.WaitGroup
			for i := range waiters {
				group.Go(func() {
					if err := do(i); err != nil {
						b.Error(err)
					}
				})
			}
			group.Wait()
			return time.Since(begin)
		}
		for i := range connections {
			var err error
			if connections[i], err = net.Dial("tcp", address); err != nil {
				b.Fatal(err)
			}
			defer connections[i].Close()
		}
		all(func(i int) error { return ask(i, "Prefer: wait=60\r\n") })
		// Nothing tells from outside when all wait, and when the server has tidied up.
		time.Sleep(5 * time.Second)
		after := residentBytes(b, s.process.Process.Pid)

		importRuns(b, store, waiters, true)
		last := all(func(i int) error {
			text, err := answer(i)
			if err == nil && !strings.Contains(text, `"SUCCESS"`) {
				err = fmt.Errorf("waiter %d is told %q", i, text)
			}
			return err
		})
		plain := all(func(i int) error {
			if err := ask(i, ""); err != nil {
				return err
			}
			_, err := answer(i)
			return err
		})
		b.ReportMetric(float64(after-before)/waiters/1024, "KiB/waiter")
		b.ReportMetric(last.Seconds(), "s-until-the-last-knows")
		b.ReportMetric(last.Seconds()/plain.Seconds(), "x-plain-requests")
	}
}
