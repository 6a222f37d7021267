package server

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// noOperation is the label of requests that no operation has taken: what the caller asked for could
// be anything.
const noOperation = "none"

// metrics are what the server counts and measures. No label has a value that a caller can invent.
type metrics struct {
	requests    *prometheus.CounterVec   // by operation and status
	duration    *prometheus.HistogramVec // by operation
	waiters     prometheus.Gauge
	query       *prometheus.HistogramVec // by query
	queryErrors *prometheus.CounterVec   // by query
}

// newMetrics registers the metrics, unless the registry is nil.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jobruns_http_requests_total",
			Help: "Requests by operation of the contract, or none, and by status: 499 if the caller left before the response.",
		}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jobruns_http_request_duration_seconds",
			Help:    "Time from a request's headers to its response, without the time that it waited for a run to conclude.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation"}),
		waiters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jobruns_waiters",
			Help: "Requests that wait for a run to conclude.",
		}),
		query: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jobruns_store_query_duration_seconds",
			Help:    "Time that a look-up in the store took.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"query"}),
		queryErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jobruns_store_query_errors_total",
			Help: "Look-ups in the store that failed, and waits for a run that did; one that finds nothing does not.",
		}, []string{"query"}),
	}
	for _, query := range queries {
		m.queryErrors.WithLabelValues(query) // 0 from the start, or the first failure would be no increase
	}
	m.query.WithLabelValues(queryRevision) // it is read in the background, at no certain time
	if registry != nil {
		registry.MustRegister(m.requests, m.duration, m.waiters, m.query, m.queryErrors)
	}
	return m
}

// failed counts a query that has failed, and reports whether it has.
func (m *metrics) failed(ctx context.Context, query string, err error) bool {
	if err == nil || ctx.Err() != nil { // the caller has left
		return false
	}
	object, _ := errorObject(err)
	failed := object.Status >= http.StatusInternalServerError
	if failed {
		m.queryErrors.WithLabelValues(query).Inc()
	}
	return failed
}

// observer measures and logs the requests for one operation, or those that none has taken.
type observer struct {
	requests *prometheus.CounterVec // by status
	duration prometheus.Observer
	log      *slog.Logger
	logs     map[string]*slog.Logger // by method: the caller may have invented another
}

// observer returns one for an operation and its methods, whose names come first in what the log
// says of a request.
func (m *metrics) observer(log *slog.Logger, operation string, methods ...string) observer {
	o := observer{
		requests: m.requests.MustCurryWith(prometheus.Labels{"operation": operation}),
		duration: m.duration.WithLabelValues(operation),
		log:      log,
		logs:     map[string]*slog.Logger{},
	}
	for _, method := range methods {
		o.logs[method] = log.With("method", method, "operation", operation)
	}
	return o
}

// logFor returns the log of requests with the method.
func (o *observer) logFor(method string) *slog.Logger {
	if log := o.logs[method]; log != nil {
		return log
	}
	return o.log
}

// measure counts and measures a request.
func (o *observer) measure(status int, took time.Duration) {
	o.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	o.duration.Observe(took.Seconds())
}
