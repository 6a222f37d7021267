package server

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// withRequestID gives each request an id of our own making. One that the caller sends could be anything, a token
// included, and it would go into the log.
func withRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, uuid.NewString())
		return next(c)
	}
}

func requestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// logRequests writes a line for each request. Neither the path nor an unknown method is in it, only the operation: a
// caller may have put anything there, a token included.
func logRequests(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			begin := time.Now()
			err := next(c)
			if err != nil {
				c.Error(err)
			}
			logRequest(log, c, time.Since(begin), err)
			return nil
		}
	}
}

func logRequest(log *slog.Logger, c echo.Context, took time.Duration, err error) {
	ctx, status := c.Request().Context(), c.Response().Status
	found := accessOf(ctx)
	attributes := []slog.Attr{
		slog.String("id", requestID(c)),
		slog.Int("status", status),
		slog.Float64("seconds", took.Seconds()),
		slog.String("remote", c.RealIP()),
	}
	if found.operation != "" {
		attributes = append(attributes, slog.String("method", c.Request().Method), slog.String("operation", found.operation))
	}
	if found.token.Name != "" {
		attributes = append(attributes, slog.String("token", found.token.Name))
	}
	if trace := traceID(c.Request()); trace != "" {
		attributes = append(attributes, slog.String("trace", trace))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	log.LogAttrs(ctx, level, "request", attributes...)
}

// recoverPanics turns a panic into an error, and tells the log where it came from.
func recoverPanics(log *slog.Logger) echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableStackAll:     true,
		DisableErrorHandler: true,
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			log.Error("panic", "id", requestID(c), "error", err, "stack", string(stack))
			// Whatever the error was, it is no answer of the contract's: only its text goes on.
			return errors.New("panic: " + err.Error())
		},
	})
}
