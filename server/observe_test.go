package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// observe gives the api a registry, and a recorder of spans.
func (a *api) observe() (*prometheus.Registry, *tracetest.SpanRecorder) {
	a.Helper()
	registry, spans := prometheus.NewPedanticRegistry(), tracetest.NewSpanRecorder()
	options := server.Options{Metrics: registry, Traces: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))}
	var err error
	if a.handler, err = server.New(a.store, a.logger, options); err != nil {
		a.Fatal(err)
	}
	return registry, spans
}

// checkSpans checks that there are some, and that nothing in them gives a secret away.
func (a *api) checkSpans(recorder *tracetest.SpanRecorder) {
	a.Helper()
	if len(recorder.Ended()) == 0 {
		a.Error("there are no spans")
	}
	for _, span := range recorder.Ended() {
		text := fmt.Sprint(span.Name(), span.Status(), span.Attributes(), span.Events())
		for _, attribute := range span.Attributes() {
			text += " " + attribute.Value.String()
		}
		for _, secret := range a.secrets {
			if strings.Contains(text, secret) {
				a.Errorf("a span has the secret of a token: %s", text)
			}
		}
	}
}

// wantMetric compares what is counted, or the number of observations, by labels.
func wantMetric(t *testing.T, registry *prometheus.Registry, name string, want map[string]float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			if family.GetName() != name {
				continue
			}
			var labels []string
			for _, label := range metric.Label {
				labels = append(labels, label.GetValue())
			}
			got[strings.Join(labels, " ")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// failures returns how often each query has failed: those that are given once, the others never.
func failures(failed ...string) map[string]float64 {
	counts := map[string]float64{}
	for _, query := range server.Queries {
		counts[query] = 0
	}
	for _, query := range failed {
		counts[query]++
	}
	return counts
}

func TestMetrics(t *testing.T) {
	a, secret := newFilledAPI(t)
	registry, _ := a.observe()
	a.get(runPath(t, exampleKey), secret)
	a.get(runPath(t, exampleKey), secret)
	a.get(runPath(t, exampleKey), "")
	a.get("/v1/login", secret)
	for i := range 20 { // what a caller invents
		a.get(fmt.Sprintf("/nothing%d", i), secret)
		a.do(fmt.Sprintf("METHOD%d", i), "/v1/login", secret)
		a.get(fmt.Sprintf("/v1/projects/p%d/jobs/j/runs/r", i), secret)
	}
	a.store.onToken = func() error { return errors.New("broken") }
	a.get("/v1/login", secret)
	wantMetric(t, registry, "jobruns_http_requests_total", map[string]float64{
		"getJobRun 200": 2,
		"getJobRun 401": 1,
		"getJobRun 404": 20,
		"login 200":     1,
		"login 500":     1,
		"none 404":      20,
		"none 405":      20,
	})
	requests := map[string]float64{}
	for _, o := range operations(t) {
		requests[o.id] = 0
	}
	requests["getJobRun"], requests["login"], requests["none"] = 23, 2, 40
	wantMetric(t, registry, "jobruns_http_request_duration_seconds", requests)
	wantMetric(
		t,
		registry,
		"jobruns_store_query_duration_seconds",
		map[string]float64{"revision": 0, "run": 22, "token": 24},
	)
	wantMetric(t, registry, "jobruns_store_query_errors_total", failures("token"))
	wantMetric(t, registry, "jobruns_waiters", map[string]float64{"": 0})
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", err, problems)
	}
}

// TestMetricsOfAHeldAnswer runs in a bubble, whose time passes only when all wait.
func TestMetricsOfAHeldAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newRunningAPI(t)
		registry, _ := a.observe()
		s := a.serve()
		c := s.connect(t)
		write(t, c, preferring(t, secret, "wait=30"))
		synctest.Wait()
		wantMetric(t, registry, "jobruns_waiters", map[string]float64{"": 1})
		if _, err := http.ReadResponse(c.reader, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantMetric(t, registry, "jobruns_waiters", map[string]float64{"": 0})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "jobruns_http_request_duration_seconds" {
				if sum := family.Metric[0].GetHistogram().GetSampleSum(); sum > time.Second.Seconds() {
					t.Errorf("the time that a response is held counts: %v s", sum)
				}
			}
		}
		s.shutDown(t)
	})
}

// TestCallerWhoLeavesIsNoFailure leaves while the response is held, and while a run is looked up.
func TestCallerWhoLeavesIsNoFailure(t *testing.T) {
	for name, prefer := range map[string][]string{"held": {"wait=60"}, "looked up": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newRunningAPI(t)
				registry, _ := a.observe()
				if prefer == nil { // as a database answers that is told to stop
					a.store.onRun = func() error {
						time.Sleep(time.Second)
						return jobrun.ErrUnavailable
					}
				}
				s := a.serve()
				c := s.connect(t)
				write(t, c, preferring(t, secret, prefer...))
				synctest.Wait()
				c.Close()
				time.Sleep(2 * time.Second)
				wantMetric(t, registry, "jobruns_http_requests_total", map[string]float64{"getJobRun 499": 1})
				wantMetric(t, registry, "jobruns_store_query_errors_total", failures())
				lines := logLines(t, a.log.take())
				if len(lines) != 1 || lines[0].Level != "INFO" || lines[0].Status != 499 {
					t.Errorf("the log: %+v", lines)
				}
				s.shutDown(t)
			})
		})
	}
}

// TestStoreThatFailsWhileTheAnswerIsHeld is no failure of a look-up, and counts all the same.
func TestStoreThatFailsWhileTheAnswerIsHeld(t *testing.T) {
	a, secret := newRunningAPI(t)
	registry, _ := a.observe()
	asked := 0
	a.store.onRun = func() error {
		if asked++; asked == 1 {
			return nil
		}
		return jobrun.ErrUnavailable
	}
	a.want(a.send(heldRequest(t, runPath(t, exampleKey), secret)), 503)
	wantMetric(t, registry, "jobruns_store_query_errors_total", failures("await"))
	wantMetric(
		t,
		registry,
		"jobruns_store_query_duration_seconds",
		map[string]float64{"revision": 0, "run": 1, "token": 1},
	)
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraces(t *testing.T) {
	a, secret := newFilledAPI(t)
	_, recorder := a.observe()
	r := httptest.NewRequest("GET", runPath(t, exampleKey), nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Traceparent", traceparent)
	got := a.send(r)
	a.want(got, 200)
	if line := got.log[len(got.log)-1]; line.Trace != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the log has the trace %q", line.Trace)
	}
	spans := map[string]sdktrace.ReadOnlySpan{}
	for _, span := range recorder.Ended() {
		spans[span.Name()] = span
		if span.SpanContext().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("the span %q is of another trace", span.Name())
		}
	}
	request := spans["GET /v1/projects/:projectId/jobs/:jobId/runs/:runId"]
	if len(spans) != 3 || request == nil || request.Parent().SpanID().String() != "b7ad6b7169203331" {
		t.Fatalf("spans %v", spans)
	}
	for _, name := range []string{"store run", "store token"} {
		if span := spans[name]; span == nil || span.Parent().SpanID() != request.SpanContext().SpanID() ||
			span.Status().Code == codes.Error {
			t.Errorf("the span %q is %v", name, span)
		}
	}
}

// TestTraceWithoutSpans has the caller's trace in the log, where nothing is traced here.
func TestTraceWithoutSpans(t *testing.T) {
	a, _ := newFilledAPI(t)
	for header, want := range map[string]string{traceparent: "0af7651916cd43dd8448eb211c80319c", "": "", "00-nonsense": ""} {
		r := httptest.NewRequest("GET", "/v1/login", nil)
		r.Header.Set("Traceparent", header)
		got := a.send(r)
		if line := got.log[len(got.log)-1]; line.Trace != want {
			t.Errorf("%q: the log has the trace %q, want %q", header, line.Trace, want)
		}
	}
}
