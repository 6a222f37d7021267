package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The limits within which a slow or a talkative caller can tie up the server. A request has no body to speak of, and
// an answer is small.
const (
	readTimeout    = 5 * time.Second
	writeTimeout   = 30 * time.Second // and as long as the answer may be held
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// shutdownTimeout is how long running requests may take to finish.
const shutdownTimeout = 10 * time.Second

// Serve answers connections from the listener, which it closes, until the context ends. Then it takes no more, answers
// who waits for a run to conclude, and lets running requests finish, up to 10 seconds.
// Returns nil after a shutdown in which every request finished, or else what went wrong.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	s := &http.Server{
		Handler:        handler,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), shutdownKey{}, ctx)
		},
	}
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		log.Info("shutting down")
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		done <- s.Shutdown(limited)
	})
	if err := s.Serve(lazyListener{listener}); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-done
}

type shutdownKey struct{}

// untilShutdown returns a channel that is closed after the time, or when the server of the request shuts down.
func untilShutdown(request context.Context, d time.Duration) (<-chan struct{}, context.CancelFunc) {
	shutdown, ok := request.Value(shutdownKey{}).(context.Context)
	if !ok {
		shutdown = context.Background() // not served by Serve
	}
	ctx, cancel := context.WithTimeout(shutdown, d)
	return ctx.Done(), cancel
}
