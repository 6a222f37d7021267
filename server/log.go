package server

import (
	"errors"
	"log/slog"

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
	return middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		HandleError: true,
		LogMethod:   true,
		LogStatus:   true,
		LogLatency:  true,
		LogError:    true,
		LogRemoteIP: true,
		LogValuesFunc: func(c echo.Context, v middleware.RequestLoggerValues) error {
			found := accessOf(c.Request().Context())
			level := slog.LevelInfo
			attributes := []slog.Attr{
				slog.String("id", requestID(c)),
				slog.Int("status", v.Status),
				slog.Duration("duration", v.Latency),
				slog.String("remote", v.RemoteIP),
			}
			if found.operation != "" {
				attributes = append(attributes, slog.String("method", v.Method), slog.String("operation", found.operation))
			}
			if found.token.Name != "" {
				attributes = append(attributes, slog.String("token", found.token.Name))
			}
			if v.Error != nil {
				attributes = append(attributes, slog.String("error", v.Error.Error()))
			}
			if v.Status >= 500 && c.Request().Context().Err() == nil { // else the caller has gone, which is no fault of ours
				level = slog.LevelError
			}
			log.LogAttrs(c.Request().Context(), level, "request", attributes...)
			return nil
		},
	})
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
