// Package listen accepts connections: with time limits, over TLS whose certificate reloads, until
// the process shuts down; and it answers on the admin listener. It knows no contract.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// The limits within which a slow or a talkative caller can tie up the server.
const (
	readTimeout    = 5 * time.Second  // see ExtendReadDeadline
	writeTimeout   = 30 * time.Second // see ExtendWriteDeadline
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 128 << 10 // more than is allowed, so that the handler can say so
)

// shutdownTimeout is how long running requests may take to finish.
const shutdownTimeout = 10 * time.Second

// Serve answers connections from the listener, which it closes, until the context ends; with TLS,
// unless config is nil. Then it accepts no more connections, ends the waiting of requests (see
// UntilShutdown), and lets running requests finish, for up to 10 seconds. Returns nil if every
// request finished, or else the first error.
func Serve(
	ctx context.Context, listener net.Listener, config *tls.Config, handler http.Handler, log *slog.Logger,
) error {
	s := &http.Server{
		Handler:        handler,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       stdlog.New(errorLog{log}, "", 0),
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
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	listener = lazyListener{listener} // without this line, deadlines are set as net/http sets them
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-done
}

// errorLog takes what net/http logs. A connection that ends before it says anything, as those of TCP
// health checks do, is nothing to warn of.
type errorLog struct{ log *slog.Logger }

// Write logs a message, and never fails.
func (e errorLog) Write(p []byte) (int, error) {
	message, level := strings.TrimSuffix(string(p), "\n"), slog.LevelWarn
	if strings.HasPrefix(message, "http: TLS handshake error") &&
		(strings.HasSuffix(message, ": EOF") || strings.HasSuffix(message, ": connection reset by peer")) {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, message)
	return len(p), nil
}

type shutdownKey struct{}

// UntilShutdown returns a channel that is closed after the time, or when the server of the request
// shuts down. The function that it returns releases what that takes.
func UntilShutdown(request context.Context, d time.Duration) (<-chan struct{}, context.CancelFunc) {
	shutdown, ok := request.Value(shutdownKey{}).(context.Context)
	if !ok {
		shutdown = context.Background() // not served by Serve
	}
	ctx, cancel := context.WithTimeout(shutdown, d)
	return ctx.Done(), cancel
}

// ExtendWriteDeadline gives a response that is written after that time as long for writing as any
// other. It has no effect on a response that Serve does not write.
func ExtendWriteDeadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + writeTimeout))
}

// ExtendReadDeadline gives the caller the time d, from now on, for sending the request's body. It has
// no effect on a request that Serve does not read.
func ExtendReadDeadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}
