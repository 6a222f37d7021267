package server

import (
	"log/slog"
	"net/http"
	"time"
)

// logRequest writes a line for a request. Neither the path nor an unknown method is in it, only the operation: a caller
// may have put anything there, a token included.
func (r *requests) logRequest(log slog.Handler, c *call, end time.Time, err error) {
	status := c.Response().Status
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	ctx := c.Request().Context()
	if !log.Enabled(ctx, level) {
		return
	}
	// Not by a Logger, which finds out for each line from where in the program it comes.
	line := slog.NewRecord(end, level, "request", 0)
	line.AddAttrs(
		slog.String("id", c.id),
		slog.Int("status", status),
		slog.Float64("seconds", end.Sub(c.begin).Seconds()),
		slog.String("remote", c.remote),
	)
	if c.token != nil {
		line.AddAttrs(slog.String("token", c.token.Name))
	}
	if trace := r.traceID(c.Request()); trace != "" {
		line.AddAttrs(slog.String("trace", trace))
	}
	if err != nil {
		line.AddAttrs(slog.String("error", err.Error()))
	}
	_ = log.Handle(ctx, line) // as a Logger does
}
