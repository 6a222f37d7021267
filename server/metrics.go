package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// noOperation stands for the operation of a request that none has taken: what the caller asked for could be anything.
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
			Help: "Requests by operation of the contract, or none, and by status: 499 where the caller left before the answer.",
		}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jobruns_http_request_duration_seconds",
			Help:    "Time from a request's headers to its answer, without the time that the answer was held for a run to conclude.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation"}),
		waiters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jobruns_waiters",
			Help: "Requests whose answer is held for a run to conclude.",
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
	for _, query := range []string{"run", "token", "await"} {
		m.queryErrors.WithLabelValues(query) // 0 from the start, or the first failure would be no increase
	}
	if registry != nil {
		registry.MustRegister(m.requests, m.duration, m.waiters, m.query, m.queryErrors)
	}
	return m
}

// heldKey is where holdAnswers leaves how long it held an answer, in an Echo context.
const heldKey = "held"

// measure measures each request.
func (m *metrics) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begin := time.Now()
		err := next(c)
		m.request(c, time.Since(begin))
		return err
	}
}

// failed counts a query that has failed, and reports whether it has.
func (m *metrics) failed(ctx context.Context, query string, err error) bool {
	failed := err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil // else the caller has left
	if failed {
		m.queryErrors.WithLabelValues(query).Inc()
	}
	return failed
}

// request is a function of its own so that what it takes of the stack is not taken while an answer is held.
func (m *metrics) request(c echo.Context, took time.Duration) {
	operation := accessOf(c.Request().Context()).operation
	if operation == "" {
		operation = noOperation
	}
	held, _ := c.Get(heldKey).(time.Duration) // 0 for an answer that was not
	m.requests.WithLabelValues(operation, strconv.Itoa(c.Response().Status)).Inc()
	m.duration.WithLabelValues(operation).Observe((took - held).Seconds())
}
