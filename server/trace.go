package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/gen/model"
)

// serviceName is what traces call the server where nothing else names it.
const serviceName = "jobrund"

// traceRequests makes each request a part of the trace that its traceparent header names (W3C Trace Context, section 3),
// if there is one: its span's parent, or else, without a provider, what the log names.
func traceRequests(provider trace.TracerProvider) echo.MiddlewareFunc {
	traceparent := propagation.TraceContext{}
	if provider != nil {
		return otelecho.Middleware(serviceName, otelecho.WithTracerProvider(discreet{provider}), otelecho.WithPropagators(traceparent))
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			c.SetRequest(r.WithContext(traceparent.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
			return next(c)
		}
	}
}

// discreet is a provider whose spans tell of a request what the log tells of it. otelecho would have its path and its
// headers, and an unknown method: a caller may have put anything there, a token included.
type discreet struct{ trace.TracerProvider }

// Tracer implements trace.TracerProvider.
func (d discreet) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return discreetTracer{d.TracerProvider.Tracer(name, options...)}
}

type discreetTracer struct{ trace.Tracer }

// Start implements trace.Tracer.
func (t discreetTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	config := trace.NewSpanStartConfig(options...)
	known, _, _ := strings.Cut(name, " ") // otelecho begins the name with the method if it is one of HTTP's
	told := slices.DeleteFunc(config.Attributes(), func(a attribute.KeyValue) bool {
		switch a.Key {
		case "http.scheme", "http.route", "net.host.name", "net.sock.peer.addr", "net.sock.peer.port":
			return false // the connection's and ours
		case "http.method":
			return a.Value.AsString() != known
		}
		return true
	})
	return t.Tracer.Start(ctx, name, trace.WithSpanKind(config.SpanKind()), trace.WithAttributes(told...))
}

// observedStore measures what a store is asked, and makes a span of it.
type observedStore struct {
	store   Store
	metrics *metrics
	tracer  trace.Tracer // nil where nothing is traced
}

// Run implements Runs.
func (s *observedStore) Run(ctx context.Context, key RunKey) (run *model.JobRun, err error) {
	ctx, end := s.begin(ctx, "run", s.metrics.query)
	defer func() { end(err) }()
	return s.store.Run(ctx, key)
}

// Await implements Runs. How long it takes says nothing of the store, so that only its failures are counted.
func (s *observedStore) Await(ctx context.Context, key RunKey, enough <-chan struct{}) (run *model.JobRun, err error) {
	ctx, end := s.begin(ctx, "await", nil)
	defer func() { end(err) }()
	return s.store.Await(ctx, key, enough)
}

// Token implements Tokens.
func (s *observedStore) Token(ctx context.Context, hash TokenHash) (t Token, err error) {
	ctx, end := s.begin(ctx, "token", s.metrics.query)
	defer func() { end(err) }()
	return s.store.Token(ctx, hash)
}

// begin returns what is to be called when the query has ended. Its duration is measured unless durations is nil.
func (s *observedStore) begin(ctx context.Context, query string, durations *prometheus.HistogramVec) (context.Context, func(error)) {
	begin := time.Now()
	var span trace.Span
	if s.tracer != nil {
		ctx, span = s.tracer.Start(ctx, "store "+query, trace.WithSpanKind(trace.SpanKindClient))
	}
	return ctx, func(err error) {
		if durations != nil {
			durations.WithLabelValues(query).Observe(time.Since(begin).Seconds())
		}
		failed := err != nil && !errors.Is(err, ErrNotFound) && ctx.Err() == nil // else the caller has left
		if failed {
			s.metrics.queryErrors.WithLabelValues(query).Inc()
		}
		if span != nil {
			if failed {
				span.SetStatus(codes.Error, err.Error())
			}
			span.End()
		}
	}
}
