package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// read returns the status and the text at a URL, which may not be there yet.
func read(t *testing.T, url string) (int, string) {
	t.Helper()
	for {
		response, err := http.Get(url)
		if err != nil && strings.Contains(err.Error(), "refused") {
			continue // the test's own deadline is the only limit
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	admin := freeAddress(t)
	s := serve(t, store, "--admin-addr", admin)
	ask(t, s, token, runPath, http.StatusOK)
	ask(t, s, token, "/nothing", http.StatusNotFound)
	for path, want := range map[string]string{
		"/livez":            "ok\n",
		"/readyz":           "ok\n",
		"/metrics":          `jobruns_http_requests_total{operation="getJobRun",status="200"} 1`,
		"/debug/pprof/":     "goroutine",
		"/debug/pprof/heap": "",
	} {
		if status, text := read(t, "http://"+admin+path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q, want %q", path, status, text, want)
		}
		ask(t, s, token, path, http.StatusNotFound) // to whom it is no business
	}
}

// TestReadinessFailsFirst ends a server while a request waits for a run: its readiness fails at
// once, and the request still gets its response.
func TestReadinessFailsFirst(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	importRuns(t, store, 1, false)
	token := output(t, "jobrund", "token", "create", "--name", "n", "--store", store)
	admin := freeAddress(t)
	s := serve(t, store, "--admin-addr", admin, "--shutdown-delay", "500ms")
	const path = "/v1/projects/p/jobs/j/runs/run0"
	waiter := make(chan int)
	request := newRequest(t, s, token, path)
	request.Header.Set("Prefer", "wait=60")
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			waiter <- 0
			return
		}
		response.Body.Close()
		waiter <- response.StatusCode
	}()
	for metrics := ""; !strings.Contains(metrics, "\njobruns_waiters 1\n"); {
		_, metrics = read(t, "http://"+admin+"/metrics")
	}
	if status, text := read(t, "http://"+admin+"/readyz"); status != http.StatusOK {
		t.Errorf("before: %d %q", status, text)
	}
	begin := time.Now()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for status, text := http.StatusOK, ""; status == http.StatusOK; {
		if status, text = read(t, "http://"+admin+"/readyz"); status != http.StatusOK &&
			(status != 503 || text != "not ready: shutting down\n") {
			t.Errorf("after: %d %q", status, text)
		}
	}
	ask(t, s, token, path, http.StatusOK) // on a new connection or not
	if status := <-waiter; status != http.StatusOK || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("the waiting request gets %d after %s", status, time.Since(begin))
	}
	<-s.logged
	if err := s.process.Wait(); err != nil {
		t.Error(err)
	}
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// askTraced asks as a part of the trace.
func askTraced(t *testing.T, s *apiServer, token string) {
	t.Helper()
	request := newRequest(t, s, token, runPath)
	request.Header.Set("Traceparent", traceparent)
	answered(t, request, http.StatusOK)
}

// serveTraced is serve with variables in its environment.
func serveTraced(t *testing.T, store string, variables ...string) (s *apiServer, stdout *strings.Builder) {
	t.Helper()
	process := program(t, "jobrund", "serve", "--addr", "127.0.0.1:0", "--store", store)
	process.Env = append(process.Env, variables...)
	stdout = new(strings.Builder)
	process.Stdout = stdout
	return startServer(t, process), stdout
}

func TestTraces(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	var exported strings.Builder // complete when the server has ended
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
			r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		_, _ = io.Copy(&exported, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	for name, variables := range map[string][]string{
		"otlp":    {"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_EXPORTER_OTLP_COMPRESSION=none", "OTEL_SERVICE_NAME=renamed"},
		"console": {"OTEL_TRACES_EXPORTER=console", "OTEL_SERVICE_NAME=renamed"},
	} {
		s, stdout := serveTraced(t, store, variables...)
		askTraced(t, s, token)
		if state := s.stop(t, syscall.SIGTERM); state.ExitCode() != 0 {
			t.Errorf("%s: %s", name, state)
		}
		text := exported.String() + stdout.String()
		for _, want := range []string{"store run", "store token", "GET /v1/projects/:projectId/jobs/:jobId/runs/:runId", "renamed"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not among the spans: %q", name, want, text)
			}
		}
		if strings.Contains(text, token) {
			t.Errorf("%s: the token is in a span", name)
		}
		if !strings.Contains(s.log.String(), `"trace":"0af7651916cd43dd8448eb211c80319c"`) {
			t.Errorf("%s: the trace is not in the log: %s", name, s.log)
		}
		exported.Reset()
	}
}

// TestCollectorThatHangs takes spans and never answers: neither do requests wait for it, nor the
// end for long.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	store, token := documentedStore(t)
	hung := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer collector.Close()
	defer close(hung)
	const hour = "3600000" // in milliseconds: who waits for the exporter waits for longer than the test may take
	s, _ := serveTraced(t, store, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_BSP_SCHEDULE_DELAY=10",
		"OTEL_BSP_MAX_QUEUE_SIZE=16", "OTEL_EXPORTER_OTLP_TIMEOUT="+hour, "OTEL_BSP_EXPORT_TIMEOUT="+hour,
		"OTEL_EXPORTER_OTLP_HEADERS=unreadable-secret")
	for range 100 {
		askTraced(t, s, token)
	}
	if state := s.stop(t, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Error(state)
	}
	if strings.Contains(s.log.String(), "unreadable-secret") {
		t.Errorf("the log tells a secret: %s", s.log)
	}
	if n := strings.Count(s.log.String(), "traces cannot be exported"); n != 1 {
		t.Errorf("the log tells %d times of it: %s", n, s.log)
	}
}

func TestUnknownTraces(t *testing.T) {
	t.Parallel()
	for variable, says := range map[string]string{
		"OTEL_TRACES_EXPORTER=jaeger":                                `OTEL_TRACES_EXPORTER is "jaeger": otlp, console and none are there`,
		"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc": `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": only http/protobuf is there`,
		"OTEL_EXPORTER_OTLP_ENDPOINT=127.0.0.1:4318":                 `OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://`,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=nonsense":                `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be a URL such as http://`,
	} {
		cmd := program(t, "jobrund", "serve", "--addr", "127.0.0.1:0", "--store", newStore(t))
		cmd.Env = append(cmd.Env, strings.Fields(variable)...)
		if got := outcomeOf(t, cmd); got.status != 1 || !strings.Contains(got.stderr, says) {
			t.Errorf("%s: exit status %d, %s", variable, got.status, got.stderr)
		}
	}
}
