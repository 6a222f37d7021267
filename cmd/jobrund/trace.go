package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// flushTimeout is how long the last spans may take to be exported when the process ends.
const flushTimeout = 2 * time.Second

// newTraces returns where spans go, as the standard variables of OpenTelemetry ask
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), and how to
// end it. Without an OTEL_TRACES_EXPORTER or an endpoint nothing is traced: it is nil. Returns an
// error that names the variable if it asks for what is not there.
func newTraces(ctx context.Context, log *slog.Logger) (traces trace.TracerProvider, end func(), err error) {
	// It would print what it cannot read of the environment, which may be a secret.
	otel.SetLogger(logr.Discard())
	exporter, err := newExporter(ctx)
	if err != nil || exporter == nil {
		return nil, func() {}, err
	}
	// Later ones win: the environment has the last word.
	described, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "jobrund")),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	var once sync.Once
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		once.Do(func() { log.Warn("traces cannot be exported; this is said once", "error", err) })
	}))
	// Spans are exported in the background, and dropped while that takes too long.
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	return provider, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(limited); err != nil {
			otel.Handle(err)
		}
	}, nil
}

// checkEndpoints returns an error that names the variable if one holds no URL: the exporter would
// pass over it, and send to somewhere else.
func checkEndpoints() error {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		value := os.Getenv(variable)
		parsed, err := url.Parse(value)
		if value != "" && (err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https") {
			return fmt.Errorf("%s must be a URL such as http://127.0.0.1:4318", variable) // it may have a password
		}
	}
	return nil
}

// newExporter returns nil if nothing is traced.
func newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	name := os.Getenv("OTEL_TRACES_EXPORTER")
	if name == "" &&
		cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != "" {
		name = "otlp"
	}
	switch name {
	case "", "none":
		return nil, nil
	case "console":
		return stdouttrace.New()
	case "otlp":
		protocol := cmp.Or(
			os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
			os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"),
			"http/protobuf",
		)
		if protocol != "http/protobuf" {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: only http/protobuf is there", protocol)
		}
		if err := checkEndpoints(); err != nil {
			return nil, err
		}
		return otlptracehttp.New(ctx)
	}
	return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: otlp, console and none are there", name)
}
