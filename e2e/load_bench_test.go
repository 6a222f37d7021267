package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

// numbered is the id of a run in load.lua.
func numbered(i int) string { return fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", i) }

// numberedLines writes lines of that many runs.
func numberedLines(to io.Writer, runs int) error {
	buffer := bufio.NewWriter(to)
	for i := range runs {
		fmt.Fprintf(
			buffer,
			`{"projectId":"default-project","jobId":"example-job","run":{"id":"%s","active":0,"backoffLimit":0,"completions":1,`+
				`"concluded":true,"failed":0,"runName":"example-job-5fcf67bc56e1913e21d49504","status":"SUCCESS","succeeded":1,`+
				`"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z"}}`+"\n",
			numbered(i),
		)
	}
	return buffer.Flush()
}

// numberedFile is numberedLines in a file.
func numberedFile(b *testing.B, runs int) string {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "runs.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	if err := numberedLines(file, runs); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Name()
}

// on has a program run on one processor only, for its requests not to move about: servers on the
// first, who asks them on the second. Where there is no taskset, nothing is said about processors.
func on(processor string, cmd *exec.Cmd) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil {
		cmd.Args = append([]string{"taskset", "-c", processor, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = taskset
	}
	return cmd
}

// oneProcessor is a server's environment in which it uses one processor.
const oneProcessor = "GOMAXPROCS=1"

// serveOnOne serves the store as it is really run: with everything on, and its log in a file.
func serveOnOne(b *testing.B, store string, args ...string) *apiServer {
	b.Helper()
	args = append(
		[]string{
			"serve", "--addr", "127.0.0.1:0", "--store", store, "--admin-addr", "127.0.0.1:0", "--rate-limit",
			"1000000000/1h",
		},
		args...)
	cmd := program(b, "jobrund", args...)
	cmd.Env = append(cmd.Env, oneProcessor)
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = log
	process := on("0", cmd)
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	s := &apiServer{process: process}
	b.Cleanup(func() { s.end(b) })
	serving := regexp.MustCompile(`"serving","url":"([^"]*)"`)
	soon(b, func() error {
		text, err := os.ReadFile(log.Name())
		match := serving.FindSubmatch(text)
		if match == nil {
			return fmt.Errorf("not serving: %s %w", text, err)
		}
		s.url = string(match[1])
		return nil
	})
	return s
}

// end ends a server whose log is in a file, if it still runs.
func (s *apiServer) end(b *testing.B) {
	b.Helper()
	if s.process.ProcessState != nil {
		return
	}
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	_ = s.process.Wait() // the state says more
}

// serveBaseline serves the lines from the baseline.
func serveBaseline(b *testing.B, lines, token string) (url string) {
	b.Helper()
	build := exec.Command("go", "build", "-o", programs, "./baseline/serve")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	cmd := program(b, "serve", lines, token)
	cmd.Env = append(cmd.Env, oneProcessor)
	process := on("0", cmd)
	stdout, err := process.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	url, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

var requestsPerSecond = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)

// load returns how many requests a second are answered, on 64 connections, for that many runs,
// whose numbers are a step apart.
func load(b *testing.B, url, token string, count, step int, d time.Duration) float64 {
	b.Helper()
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		b.Fatal("wrk is missing: make bench installs it")
	}
	script, err := filepath.Abs("testdata/load.lua")
	if err != nil {
		b.Fatal(err)
	}
	cmd := on("1", exec.Command(wrk, "-t1", "-c64", "-d"+strconv.Itoa(int(d.Seconds()))+"s", "-s", script, url, "--",
		token, strconv.Itoa(count), strconv.Itoa(step)))
	out, err := cmd.CombinedOutput()
	match := requestsPerSecond.FindSubmatch(out)
	if err != nil || match == nil || strings.Contains(string(out), "Non-2xx") ||
		strings.Contains(string(out), "Socket errors") {
		b.Fatalf("wrk: %v: %s", err, out)
	}
	rate, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

// BenchmarkThroughput measures requests for 10,000 of 100,000 runs, and for runs of which each is
// new, beside the baseline, which has all of them in a map.
func BenchmarkThroughput(b *testing.B) {
	const runs, asked, d = 100_000, 10_000, 4 * time.Second
	lines := numberedFile(b, runs)
	store := newStore(b)
	output(b, "jobrund", "import", "--store", store, lines)
	token := output(b, "jobrund", "token", "create", "--name", "bench", "--store", store)
	baseline := serveBaseline(b, lines, token)
	b.Run("again", func(b *testing.B) {
		c := comparison{
			what:       "requests for 10,000 of 100,000 runs, again and again",
			unit:       "requests/s",
			besideWhat: "baseline",
		}
		s := serveOnOne(b, store)
		load(b, s.url, token, asked, 1, d) // until all have been asked for
		load(b, baseline, token, asked, 1, d)
		for b.Loop() {
			c.add(load(b, s.url, token, asked, 1, d), load(b, baseline, token, asked, 1, d))
		}
		c.report(b)
	})
	b.Run("new", func(b *testing.B) {
		c := comparison{
			what:       "requests for 100,000 runs, each for the first time",
			unit:       "requests/s",
			besideWhat: "baseline",
		}
		for b.Loop() {
			s := serveOnOne(b, store)
			c.add(load(b, s.url, token, runs, 1, d), load(b, baseline, token, runs, 1, d))
			s.end(b)
		}
		c.report(b)
	})
}

// manyRuns makes a store of that many runs, by SQL.
func manyRuns(b *testing.B, runs int) string {
	b.Helper()
	url := newStore(b)
	output(b, "jobrund", "import", os.DevNull, "--store", url) // which makes it
	db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"PRAGMA synchronous = OFF", "PRAGMA ignore_check_constraints = ON", fmt.Sprintf(`WITH RECURSIVE n(i) AS
		(SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < %d - 1) INSERT INTO runs (team, project, job, id, active, backoff_limit, completions,
		concluded, failed, run_name, status, succeeded, started_at, concluded_at) SELECT 'default', 'default-project', 'example-job',
		printf('%%08x-35bd-4c71-8e7c-e36999b88723', i), 0, 0, 1, 1, 0, 'example-job-5fcf67bc56e1913e21d49504', 'SUCCESS', 1, 1607428028, 1607428328
		FROM n`, runs)} {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	return url
}

// BenchmarkManyRuns measures a store of 10 million runs, beside one of 1000: reading a run,
// starting a server, and the memory of one whose memory for responses is full.
func BenchmarkManyRuns(b *testing.B) {
	const few, many = 1000, 10_000_000
	stores := map[int]string{few: manyRuns(b, few), many: manyRuns(b, many)}
	b.Run("read", func(b *testing.B) {
		c := comparison{
			what:       "reading a run from SQLite among 10,000,000",
			unit:       "µs",
			digits:     1,
			besideWhat: "among 1000",
		}
		read := func(runs int) float64 {
			s, err := store.Open(b.Context(), stores[runs], sqlite.Engine)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			const reads = 20_000
			begin := time.Now()
			for range reads {
				key := jobrun.Key{
					Team:    "default",
					Project: "default-project",
					Job:     "example-job",
					Run:     numbered(rand.IntN(runs)),
				}
				if _, err := s.Run(context.Background(), key); err != nil {
					b.Fatal(err)
				}
			}
			return float64(time.Since(begin).Microseconds()) / reads
		}
		read(many) // so that the file is where the system keeps files
		for b.Loop() {
			c.add(read(many), read(few))
		}
		c.report(b)
	})
	b.Run("request", func(b *testing.B) {
		c := comparison{
			what:       "answering a request from SQLite among 10,000,000 runs, nothing kept in memory",
			unit:       "µs",
			digits:     1,
			besideWhat: "among 1000",
		}
		ask := func(runs, asked int) float64 {
			token := output(b, "jobrund", "token", "create", "--name", "request"+strconv.Itoa(len(c.figure)),
				"--store", stores[runs])
			s := serveOnOne(b, stores[runs], "--cache-size", "0")
			defer s.end(b)
			return 1e6 / load(b, s.url, token, asked, runs/asked, 4*time.Second)
		}
		for b.Loop() {
			c.add(ask(many, 200_000), ask(few, few))
		}
		c.report(b)
	})
	b.Run("start", func(b *testing.B) {
		c := comparison{
			what:       "a server of 10,000,000 runs from its start to the first answer",
			unit:       "ms",
			digits:     0,
			besideWhat: "true",
		}
		address := freeAddress(b)
		for b.Loop() {
			process := program(b, "jobrund", "serve", "--addr", address, "--store", stores[many])
			begin := time.Now()
			if err := process.Start(); err != nil {
				b.Fatal(err)
			}
			for {
				response, err := http.Get("http://" + address + "/v1/login")
				if err == nil {
					response.Body.Close()
					break
				}
				time.Sleep(time.Millisecond)
			}
			took := time.Since(begin)
			(&apiServer{process: process}).end(b)
			c.add(milliseconds(took), milliseconds(timed(b, exec.Command("true"))))
		}
		c.report(b)
	})
	b.Run("memory", func(b *testing.B) {
		c := comparison{
			what:       "resident memory of a server of 10,000,000 runs under load",
			unit:       "MiB",
			digits:     0,
			besideWhat: "of 1000 runs",
		}
		resident := func(runs, asked int) float64 {
			token := output(b, "jobrund", "token", "create", "--name", "bench"+strconv.Itoa(len(c.figure)), "--store",
				stores[runs])
			s := serveOnOne(b, stores[runs])
			defer s.end(b)
			load(b, s.url, token, asked, 1, 20*time.Second)
			return float64(residentBytes(b, s.process.Process.Pid)) / (1 << 20)
		}
		for b.Loop() {
			c.add(resident(many, 300_000), resident(few, few)) // more than there is room for
		}
		c.report(b)
	})
}

// BenchmarkRecord has 64 callers record runs through HTTP, and writes the same number of rows beside
// that, each in a transaction of its own, into a file on the same disk. It reports the time of an
// fsync too, on which both depend.
func BenchmarkRecord(b *testing.B) {
	const callers, d = 64, 4 * time.Second
	c := comparison{
		what: "recording runs with 64 callers, SQLite", unit: "runs/s",
		besideWhat: "a transaction for each row",
	}
	store := newStore(b)
	token := output(b, "jobrund", "token", "create", "--name", "record", "--record", "--store", store)
	s := serveOnOne(b, store, "--record-limit", "0")
	connections := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	var fsync float64
	for b.Loop() {
		var runs atomic.Int64
		var all sync.WaitGroup
		begin := time.Now()
		for range callers {
			all.Go(func() {
				for time.Since(begin) < d {
					url := fmt.Sprintf("%s/v1/projects/p/jobs/j/runs/%d-%d", s.url, begin.UnixNano(), runs.Add(1))
					request, err := http.NewRequest(http.MethodPut, url, nil)
					if err != nil {
						b.Error(err)
						return
					}
					request.Header.Set("Authorization", "Bearer "+token)
					response, err := connections.Do(request)
					if err != nil || response.StatusCode != http.StatusOK {
						b.Errorf("%+v, %v", response, err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		}
		all.Wait()
		recorded := float64(runs.Load()) / time.Since(begin).Seconds()
		rows, synced := singleWrites(b, d/2)
		c.add(recorded, rows)
		fsync = synced
	}
	c.report(b)
	b.ReportMetric(fsync, "fsync-ms")
	s.end(b)
}

// singleWrites returns how many rows a second fit into a table of SQLite, each in a transaction of its
// own that is synced, and how many milliseconds an fsync takes.
func singleWrites(b *testing.B, d time.Duration) (rows, fsync float64) {
	b.Helper()
	folder := b.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(folder, "rows.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE runs (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID"); err != nil {
		b.Fatal(err)
	}
	begin, n := time.Now(), 0
	for ; time.Since(begin) < d; n++ {
		if _, err := db.Exec("INSERT INTO runs VALUES (?, ?)", numbered(n), strings.Repeat("x", 200)); err != nil {
			b.Fatal(err)
		}
	}
	rows = float64(n) / time.Since(begin).Seconds()
	file, err := os.Create(filepath.Join(folder, "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	begin = time.Now()
	const syncs = 200
	for range syncs {
		if _, err := file.Write(make([]byte, 4096)); err != nil || file.Sync() != nil {
			b.Fatal("the file cannot be synced: ", err)
		}
	}
	return rows, float64(time.Since(begin).Microseconds()) / 1000 / syncs
}
