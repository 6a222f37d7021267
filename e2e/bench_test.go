package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// timed returns how long the command takes as a whole process.
func timed(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return time.Since(begin)
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

// BenchmarkExec measures what recording adds to a command that does nothing, in turn with the command alone.
func BenchmarkExec(b *testing.B) {
	store := newStore(b)
	var with, without []time.Duration
	for b.Loop() {
		with = append(with, timed(b, program(b, "jobrund", "exec", "--store", store, "--project", "p", "--job", "j", "--", "true")))
		without = append(without, timed(b, exec.Command("true")))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(with)-median(without))/1e6, "ms-added")
	b.ReportMetric(float64(median(with))/float64(median(without)), "x-true")
}

// BenchmarkImport measures an import of 100,000 lines, beside gzip reading the same.
func BenchmarkImport(b *testing.B) {
	const lines = 100_000
	feed := func(cmd *exec.Cmd) *exec.Cmd {
		reader, writer := io.Pipe()
		cmd.Stdin = reader
		go func() {
			buffer := bufio.NewWriter(writer)
			for i := range lines {
				fmt.Fprintf(buffer, `{"projectId":"p","jobId":"j","run":{"id":"run%d","active":0,"backoffLimit":0,"completions":1,`+
					`"concluded":true,"failed":0,"runName":"example-job-5fcf67bc56e1913e21d49504","status":"SUCCESS","succeeded":1,`+
					`"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z"}}`+"\n", i)
			}
			writer.CloseWithError(buffer.Flush())
		}()
		return cmd
	}
	var imports, gzips []time.Duration
	for b.Loop() {
		imports = append(imports, timed(b, feed(program(b, "jobrund", "import", "--store", newStore(b)))))
		gzips = append(gzips, timed(b, feed(exec.Command("sh", "-c", "gzip -9 > /dev/null"))))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(imports).Microseconds())/lines, "us/line")
	b.ReportMetric(float64(median(imports))/float64(median(gzips)), "x-gzip")
}

// BenchmarkRun measures a request for a run, beside one for a path that does not exist: what HTTP alone costs.
func BenchmarkRun(b *testing.B) {
	store, token := documentedStore(b)
	s := serve(b, store)
	ask := func(path string, status int) time.Duration {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		begin := time.Now()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != status {
			b.Fatal(answer.Status, err)
		}
		return time.Since(begin)
	}
	run := strings.Join([]string{"/v1/projects", documented.Project, "jobs", documented.Job, "runs", documented.Run}, "/")
	var found, nothing []time.Duration
	for b.Loop() {
		found = append(found, ask(run, http.StatusOK))
		nothing = append(nothing, ask("/nothing", http.StatusNotFound))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(found).Microseconds()), "us-median")
	b.ReportMetric(float64(median(found))/float64(median(nothing)), "x-404")
}
