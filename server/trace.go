package server

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// serviceName is what traces call the server if nothing else names it.
const serviceName = "jobrund"

// traceRequests makes a span of each request, whose parent is the one that its traceparent header
// names, if any.
func traceRequests(next http.Handler, provider trace.TracerProvider) http.Handler {
	return otelhttp.NewHandler(next, serviceName,
		otelhttp.WithTracerProvider(discreetProvider{provider}),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()), // Prometheus has the metrics
		otelhttp.WithPropagators(traceparent),
		otelhttp.WithServerName(serviceName)) // otherwise it is the caller's Host header
}

// discreetProvider provides spans that say no more of a request than the log does. otelhttp would
// add its path and its headers: a caller may have put anything there, a token included.
type discreetProvider struct{ trace.TracerProvider }

// Tracer returns a tracer of such spans.
func (d discreetProvider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return discreetTracer{d.TracerProvider.Tracer(name, options...)}
}

type discreetTracer struct{ trace.Tracer }

// spanAttributes are those of otelhttp that no caller can write: it replaces an unknown method by
// another word.
var spanAttributes = []attribute.Key{
	semconv.HTTPRequestMethodKey, semconv.URLSchemeKey, semconv.ServerAddressKey, semconv.NetworkPeerAddressKey,
	semconv.NetworkPeerPortKey, semconv.NetworkProtocolVersionKey,
}

// Start starts a span with those of the attributes that no caller can write.
func (t discreetTracer) Start(
	ctx context.Context,
	name string,
	options ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	config := trace.NewSpanStartConfig(options...)
	known := slices.DeleteFunc(
		config.Attributes(),
		func(a attribute.KeyValue) bool { return !slices.Contains(spanAttributes, a.Key) },
	)
	return t.Tracer.Start(ctx, name, trace.WithSpanKind(config.SpanKind()), trace.WithAttributes(known...))
}
