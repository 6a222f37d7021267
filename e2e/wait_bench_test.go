package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
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
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
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
			_, err := fmt.Fprintf(
				connections[i],
				"GET /v1/projects/p/jobs/j/runs/run%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n",
				i,
				token,
				prefer,
			)
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

// BenchmarkWakeUp has waiters learn of conclusions that this process commits to the store of a
// server: one after the other with WaitForJobRun, and, beside them, as many that poll every 3
// seconds. It reports the time from the commit until the waiter knows, and the requests that a
// minute of waiting takes.
func BenchmarkWakeUp(b *testing.B) { benchmarkWakeUp(b, newStore(b)) }

func benchmarkWakeUp(b *testing.B, url string) {
	const runs, pollInterval = 200, 3 * time.Second
	s, err := store.Open(b.Context(), url, sqlite.Engine)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	a := newAPI(b, url)
	put := func(i int, concluded bool) {
		now := time.Now()
		r := jobrun.Record{Team: jobrun.DefaultTeam, Project: "p", Job: "j", Run: model.JobRun{ID: fmt.Sprint("run", i),
			RunName: "j", Active: model.FlagYes, Status: model.JobRunStatusRunning, StartedAt: now}}
		if concluded {
			r.Run.Active, r.Run.Concluded, r.Run.ConcludedAt = model.FlagNo, true, &now
			r.Run.Status, r.Run.Succeeded = model.JobRunStatusSuccess, model.FlagYes
		}
		if err := s.PutRun(b.Context(), r); err != nil {
			b.Error(err)
		}
	}
	ref := func(i int) client.RunRef { return client.RunRef{Project: "p", Job: "j", Run: fmt.Sprint("run", i)} }
	wait := func(i int) int {
		requests := 1 // the one that ends the wait
		count := client.OnPause(func(*client.Response, error, time.Duration) { requests++ })
		if _, _, err := a.WaitForJobRun(b.Context(), ref(i), count); err != nil {
			b.Error(err)
		}
		return requests
	}
	poll := func(i int) int {
		for requests := 1; ; requests++ {
			run, _, err := a.GetJobRun(b.Context(), ref(i))
			if err != nil || run.Concluded {
				if err != nil {
					b.Error(err)
				}
				return requests
			}
			time.Sleep(pollInterval)
		}
	}
	// measure lets each run conclude after a time of its own, one waiter for each, and returns the
	// delays of the waiters.
	measure := func(wait func(int) int) (delays []time.Duration, requests int, waited time.Duration) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range runs {
			put(i, false)
		}
		for i := range runs {
			all.Go(func() {
				begin := time.Now()
				var committed time.Time
				done := make(chan struct{})
				go func() {
					defer close(done)
					time.Sleep(time.Second + time.Duration(i)*4*pollInterval/runs)
					put(i, true)
					committed = time.Now()
				}()
				n := wait(i)
				known := time.Now()
				<-done
				mu.Lock()
				defer mu.Unlock()
				delays = append(delays, max(0, known.Sub(committed)))
				requests += n
				waited += known.Sub(begin)
			})
		}
		all.Wait()
		slices.Sort(delays)
		return delays, requests, waited
	}
	for b.Loop() {
		for name, how := range map[string]func(int) int{"wait": wait, "poll": poll} {
			delays, requests, waited := measure(how)
			b.ReportMetric(delays[runs/2].Seconds()*1000, name+"-p50-ms")
			b.ReportMetric(delays[runs*99/100].Seconds()*1000, name+"-p99-ms")
			b.ReportMetric(float64(requests)/waited.Minutes(), name+"-requests/min")
		}
	}
	b.ReportMetric(0, "ns/op")
}
