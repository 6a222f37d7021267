package listen_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

func TestAdmin(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "jobruns_test_total", Help: "A test."}))
	secret := errors.New("password=hunter2")
	for name, test := range map[string]struct {
		method, path string
		ready        error
		status       int
		body         string
	}{
		"live":                 {"GET", "/livez", errors.New("starting"), 200, "ok\n"},
		"ready":                {"GET", "/readyz", nil, 200, "ok\n"},
		"not ready":            {"GET", "/readyz", errors.New("starting"), 503, "not ready: starting\n"},
		"store away":           {"GET", "/readyz", fmt.Errorf("%w: %w", jobrun.ErrUnavailable, secret), 503, "not ready: the store cannot be reached\n"},
		"live, by HEAD":        {"HEAD", "/livez", nil, 200, ""},
		"not ready, by HEAD":   {"HEAD", "/readyz", errors.New("starting"), 503, ""},
		"another method":       {"POST", "/livez", nil, 405, "Method Not Allowed\n"},
		"another path":         {"GET", "/", nil, 404, "404 page not found\n"},
		"metrics":              {"GET", "/metrics", errors.New("starting"), 200, "# HELP jobruns_test_total A test.\n# TYPE jobruns_test_total counter\njobruns_test_total 0\n"},
		"nothing below a path": {"GET", "/livez/", nil, 404, "404 page not found\n"},
		"no command line":      {"GET", "/debug/pprof/cmdline", nil, 404, "Unknown profile\n"},
		"nothing of the API's": {"GET", "/v1/login", nil, 404, "404 page not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			handler := listen.NewAdmin(func(context.Context) error { return test.ready }, registry)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(test.method, "http://127.0.0.1"+test.path, nil))
			body := answer.Body.String()
			if test.method == "HEAD" {
				body = "" // net/http leaves it out
			}
			if answer.Code != test.status || body != test.body {
				t.Errorf("the response is %d %q, want %d %q", answer.Code, body, test.status, test.body)
			}
			if sniff := answer.Header().Get("X-Content-Type-Options"); sniff != "nosniff" {
				t.Errorf("X-Content-Type-Options is %q", sniff)
			}
			if strings.Contains(answer.Body.String(), "hunter2") {
				t.Error("the response tells a password")
			}
		})
	}
}

func TestAdminOffersOpenMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "jobruns_test_total", Help: "A test."}))
	request := httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
	answer := httptest.NewRecorder()
	listen.NewAdmin(nil, registry).ServeHTTP(answer, request)
	const want = "# HELP jobruns_test A test.\n# TYPE jobruns_test counter\njobruns_test_total 0.0\n# EOF\n"
	if kind := answer.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text") ||
		answer.Body.String() != want {
		t.Errorf("the response is %s: %q, want %q", kind, answer.Body, want)
	}
}

func TestAdminRefusesOtherHosts(t *testing.T) {
	handler := listen.NewAdmin(func(context.Context) error { return nil }, prometheus.NewRegistry(), "metrics.example")
	for host, status := range map[string]int{
		"127.0.0.1":            200,
		"10.1.2.3:9090":        200,
		"[::1]:9090":           200,
		"[fe80::1%25eth0]":     200,
		"localhost:9090":       200,
		"LocalHost":            200,
		"metrics.example:9090": 200,
		"Metrics.Example":      200,
		"":                     200, // HTTP/1.0
		"evil.example":         421,
		"evil.example:9090":    421,
		"127.0.0.1.evil":       421,
		"localhost.evil":       421,
		"x.metrics.example":    421,
		"127.0.0.1@evil":       421,
		"[localhost":           421,
	} {
		for _, path := range []string{"/livez", "/metrics", "/debug/pprof/"} {
			request := httptest.NewRequest("GET", path, nil)
			request.Host = host
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != status {
				t.Errorf("%q%s: the response is %d %q, want %d", host, path, answer.Code, answer.Body, status)
			}
		}
	}
}

// A store that does not answer must not make a probe wait.
func TestAdminIsNotReadyInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := listen.NewAdmin(func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, ctx.Err())
		}, prometheus.NewRegistry())
		answer := httptest.NewRecorder()
		begin := time.Now()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", "http://[::1]:9090/readyz", nil))
		if took := time.Since(begin); answer.Code != 503 || took != 2*time.Second {
			t.Errorf("the response is %d after %s, want 503 after 2s", answer.Code, took)
		}
	})
}
