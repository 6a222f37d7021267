package e2e

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// timed returns how long the command takes as a whole process. It writes to a file: nothing of this
// process stands between.
func timed(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	output, err := os.Create(filepath.Join(b.TempDir(), "output"))
	if err != nil {
		b.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(output.Name()) // the error says more
		b.Fatalf("%v: %s", err, text)
	}
	return time.Since(begin)
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

// pairs is how often a process that takes milliseconds is started in a round, in turn with another.
const pairs = 20

// inTurn returns how long each of two commands takes, the median of many, in milliseconds.
func inTurn(b *testing.B, one, other func() *exec.Cmd) (first, second float64) {
	b.Helper()
	var a, z []time.Duration
	for range pairs {
		a, z = append(a, timed(b, one())), append(z, timed(b, other()))
	}
	return milliseconds(median(a)), milliseconds(median(z))
}

// BenchmarkJobrun measures recording a command that does nothing, in turn with the command alone.
func BenchmarkJobrun(b *testing.B) {
	a := newAPI(b, newStore(b))
	c := comparison{what: "jobrun -- true", unit: "ms", digits: 1, besideWhat: "true"}
	for b.Loop() {
		c.add(inTurn(b, recordTrue(b, a), justTrue))
	}
	c.report(b)
}

// BenchmarkJobrunStart measures when a command starts after jobrun, in turn with the command alone.
func BenchmarkJobrunStart(b *testing.B) {
	a := newAPI(b, newStore(b))
	c := comparison{what: "the start of a command with jobrun", unit: "ms", digits: 1, besideWhat: "without"}
	start := func(cmd *exec.Cmd) float64 {
		var starts []float64
		for range pairs {
			cmd := &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Dir: cmd.Dir, Env: cmd.Env}
			began := time.Now()
			out, err := cmd.Output()
			nanoseconds, parseErr := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
			if err := errors.Join(err, parseErr); err != nil {
				b.Fatal(err)
			}
			starts = append(starts, milliseconds(time.Unix(0, nanoseconds).Sub(began)))
		}
		return middle(starts)
	}
	for b.Loop() {
		recorded := a.jobrun(b, "--project", "p", "--job", "j", "--", "date", "+%s%N")
		c.add(start(recorded), start(exec.Command("date", "+%s%N")))
	}
	c.report(b)
}

func justTrue() *exec.Cmd { return exec.Command("true") }

func recordTrue(b *testing.B, a *api) func() *exec.Cmd {
	return func() *exec.Cmd { return a.jobrun(b, "--project", "p", "--job", "j", "--", "true") }
}

// BenchmarkNorthflank measures the command line as a whole process.
func BenchmarkNorthflank(b *testing.B) {
	store, token := documentedStore(b)
	s := serve(b, store)
	c := comparison{what: "northflank get job run", unit: "ms", digits: 1, besideWhat: "true"}
	for b.Loop() {
		c.add(inTurn(b, func() *exec.Cmd {
			get := program(b, "northflank", "get", "job", "run", "--projectId", documented.Project, "--jobId",
				documented.Job, "--runId", documented.Run)
			get.Env = append(get.Env, "NORTHFLANK_HOST="+s.url, "NORTHFLANK_API_TOKEN="+token)
			return get
		}, justTrue))
	}
	c.report(b)
}

// BenchmarkImport measures an import of a million lines, beside gzip reading the same.
func BenchmarkImport(b *testing.B) {
	const runs = 1_000_000
	lines := numberedFile(b, runs)
	c := comparison{what: "importing 1,000,000 runs", unit: "s", digits: 1, besideWhat: "gzip -9"}
	for b.Loop() {
		cmd := program(b, "jobrund", "import", "--store", newStore(b), lines)
		c.add(timed(b, cmd).Seconds(), timed(b, exec.Command("sh", "-c", "gzip -9 > /dev/null < "+lines)).Seconds())
	}
	c.report(b)
}

// BenchmarkGenerate measures go generate when all is built, beside a go command that does nothing.
func BenchmarkGenerate(b *testing.B) {
	generate := func(command string) float64 {
		cmd := exec.Command("go", command, "./...")
		cmd.Dir = ".."
		return timed(b, cmd).Seconds()
	}
	c := comparison{what: "go generate ./...", unit: "s", digits: 1, besideWhat: "go list ./..."}
	generate("generate")
	for b.Loop() {
		c.add(generate("generate"), generate("list"))
	}
	c.report(b)
}

// BenchmarkRun measures a request for a run, beside one for a path that does not exist: what HTTP
// alone costs.
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
	run := strings.Join([]string{"/v1/projects", documented.Project, "jobs", documented.Job, "runs", documented.Run},
		"/")
	var found, nothing []time.Duration
	for b.Loop() {
		found = append(found, ask(run, http.StatusOK))
		nothing = append(nothing, ask("/nothing", http.StatusNotFound))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(found).Microseconds()), "us-median")
	b.ReportMetric(float64(median(found))/float64(median(nothing)), "x-404")
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
