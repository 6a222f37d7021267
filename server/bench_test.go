package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jobruns/jobruns/e2e/baseline"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/auth"
)

// discard is a response writer that costs as little as possible.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkGetJobRun measures the handler alone, with everything on, beside the baseline: for a run
// that is kept, one that has to be looked up, one that goes on, and an error. The store costs next
// to nothing here.
func BenchmarkGetJobRun(b *testing.B) {
	a, secret := newFilledAPI(b)
	example := exampleRun(b)
	running := example
	running.ID, running.Concluded, running.ConcludedAt = "running", false, nil
	key := exampleKey
	key.Run = running.ID
	a.store.runs[key] = running
	line, err := json.Marshal(map[string]any{"projectId": exampleKey.Project, "jobId": exampleKey.Job, "run": example})
	if err != nil {
		b.Fatal(err)
	}
	simple, err := baseline.New(strings.NewReader(string(line)), secret)
	if err != nil {
		b.Fatal(err)
	}
	make := func(memory int) http.Handler {
		handler, err := server.New(a.store, slog.New(slog.NewJSONHandler(io.Discard, nil)), server.Options{
			RateLimit: auth.RateLimit{
				Requests: 1 << 30,
				Window:   time.Hour,
			},
			Metrics: prometheus.NewRegistry(),
			Memory:  memory,
		})
		if err != nil {
			b.Fatal(err)
		}
		return handler
	}
	for _, test := range []struct {
		name    string
		handler http.Handler
		run     string
		status  int
	}{
		{"kept", make(64 << 20), exampleKey.Run, 200},
		{"read", make(0), exampleKey.Run, 200},
		{"running", make(64 << 20), running.ID, 200},
		{"missing", make(64 << 20), "missing", 404},
		{"malformed", make(64 << 20), "-", 400},
		{"baseline", simple, exampleKey.Run, 200},
		{"baseline-malformed", simple, "-", 400},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			path := fmt.Sprintf("/v1/projects/%s/jobs/%s/runs/%s", exampleKey.Project, exampleKey.Job, test.run)
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			w := &discard{header: http.Header{}}
			for range 3 { // until everything is kept
				test.handler.ServeHTTP(w, r)
				time.Sleep(10 * time.Millisecond)
			}
			for b.Loop() {
				clear(w.header)
				test.handler.ServeHTTP(w, r)
			}
			if w.status != test.status {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}
