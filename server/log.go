package server

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/server/jobrun"
)

// observe measures and logs each request once it has been answered.
func observe(others observer) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			if err != nil {
				c.Error(err)
			}
			x, end := exchangeOf(c.Request().Context()), time.Now()
			o := &others
			if x.operation != nil {
				o = &x.operation.observer
			}
			o.measure(c.Response().Status, end.Sub(x.begin)-x.waited)
			o.logRequest(c, x, end, err)
			return nil
		}
	}
}

// logRequest writes a line for a request. Neither the path nor an unknown method is in it, only the
// operation: a caller may have put anything there, a token included.
func (o *observer) logRequest(c echo.Context, x *exchange, end time.Time, err error) {
	r, status := c.Request(), c.Response().Status
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	log := o.logFor(r.Method).Handler()
	if !log.Enabled(r.Context(), level) {
		return
	}
	// Not by a Logger, which finds out for each line from where in the program it comes.
	line := slog.NewRecord(end, level, "request", 0)
	line.AddAttrs(
		slog.String("id", x.id),
		slog.Int("status", status),
		slog.Float64("seconds", end.Sub(x.begin).Seconds()),
		slog.String("remote", x.remote),
	)
	if x.session != nil {
		line.AddAttrs(slog.String("token", x.session.Token.Name))
	}
	line.AddAttrs(subjectAttrs(x.subject)...)
	if id := traceID(r); id != "" {
		line.AddAttrs(slog.String("trace", id))
	}
	if err != nil {
		line.AddAttrs(slog.String("error", err.Error()))
	}
	_ = log.Handle(r.Context(), line) // as a Logger does
}

// subjectAttrs returns the parts of a request's subject, without a token that the caller has put
// into the path by mistake.
func subjectAttrs(subject jobrun.Key) []slog.Attr {
	attrs := make([]slog.Attr, 0, 4)
	for _, part := range [...]slog.Attr{
		slog.String("team", subject.Team),
		slog.String("project", subject.Project),
		slog.String("job", subject.Job),
		slog.String("run", subject.Run),
	} {
		if value := part.Value.String(); value != "" && !jobrun.IsSecret(value) {
			attrs = append(attrs, part)
		}
	}
	return attrs
}

// traceparent reads the header of that name (W3C Trace Context, section 3), and ignores one that is
// not valid.
var traceparent propagation.TraceContext

// traceID returns the trace that the request is a part of, or "". If nothing is traced here, the
// caller may have one.
func traceID(r *http.Request) string {
	span := trace.SpanContextFromContext(r.Context())
	if !span.HasTraceID() && r.Header.Get("Traceparent") != "" {
		span = trace.SpanContextFromContext(traceparent.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
	}
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}
