package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// serviceName is what traces call the server where nothing else names it.
const serviceName = "jobrund"

// traceparent reads the header of that name (W3C Trace Context, section 3), and passes over one that is not valid.
var traceparent propagation.TraceContext

// traceRequests makes a span of each request, whose parent is the one that its traceparent header names, if any.
func traceRequests(provider trace.TracerProvider) echo.MiddlewareFunc {
	return otelecho.Middleware(serviceName, otelecho.WithTracerProvider(discreet{provider}), otelecho.WithPropagators(traceparent))
}

// traceID returns the trace that the request is a part of, or "". Where nothing is traced here, the caller may have one.
func (r *requests) traceID(request *http.Request) string {
	if !r.traced && len(request.Header["Traceparent"]) == 0 {
		return ""
	}
	span := trace.SpanContextFromContext(request.Context())
	if !span.HasTraceID() {
		span = trace.SpanContextFromContext(traceparent.Extract(request.Context(), propagation.HeaderCarrier(request.Header)))
	}
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
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

// observedStore measures what is looked up in a store, and makes a span of it. It leaves Await alone.
type observedStore struct {
	Store
	metrics *metrics
	tracer  trace.Tracer // nil where nothing is traced
}

// Run implements Runs.
func (s *observedStore) Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, final bool, err error) {
	ctx, end := s.begin(ctx, "run")
	defer func() { end(err) }()
	return s.Store.Run(ctx, key)
}

// Token implements Tokens.
func (s *observedStore) Token(ctx context.Context, hash jobrun.TokenHash) (t jobrun.Token, err error) {
	ctx, end := s.begin(ctx, "token")
	defer func() { end(err) }()
	return s.Store.Token(ctx, hash)
}

// Revision implements Revisions.
func (s *observedStore) Revision(ctx context.Context) (number int64, err error) {
	ctx, end := s.begin(ctx, "revision")
	defer func() { end(err) }()
	return s.Store.Revision(ctx)
}

// begin returns what is to be called when the query has ended.
func (s *observedStore) begin(ctx context.Context, query string) (context.Context, func(error)) {
	begin := time.Now()
	var span trace.Span
	if s.tracer != nil {
		ctx, span = s.tracer.Start(ctx, "store "+query, trace.WithSpanKind(trace.SpanKindClient))
	}
	return ctx, func(err error) {
		s.metrics.query.WithLabelValues(query).Observe(time.Since(begin).Seconds())
		failed := s.metrics.failed(ctx, query, err)
		if span != nil {
			if failed {
				span.SetStatus(codes.Error, err.Error())
			}
			span.End()
		}
	}
}
