package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// readTimeout bounds how long a query of a few rows may take, so that a caller learns soon that the
// database hangs.
const readTimeout = 5 * time.Second

// writeTimeout bounds a statement that writes or reads many rows. It is as long as a writer of
// SQLite waits for others.
const writeTimeout = 10 * time.Second

// limit bounds a query by readTimeout. classify tells this limit from the caller's own.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, readTimeout, jobrun.ErrTimeout)
}

// limitWrite bounds a statement by writeTimeout, as limit does.
func limitWrite(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, writeTimeout, jobrun.ErrTimeout)
}

// exec executes one statement within writeTimeout.
func (s *Store) exec(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	result, err := s.db.ExecContext(ctx, statement, args...)
	return result, s.classify(ctx, err)
}

// classify turns an error of the database into what it is to the caller; ctx is the context of the
// query. Returns nil for nil, the context's error if the caller's context has ended,
// jobrun.ErrNotFound for sql.ErrNoRows, and an error that wraps what Engine.Classify or the
// standard library's error says it is. Any other error is returned as it is.
func (s *Store) classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return jobrun.ErrNotFound
	case errors.Is(context.Cause(ctx), jobrun.ErrTimeout):
		return fmt.Errorf("%w: %w", jobrun.ErrTimeout, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closed.Load(), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, err)
	}
	if errors.Is(err, ErrUnusable) {
		// It could be used when it was opened, and may be again: somebody has moved it, say.
		return fmt.Errorf("%w: %s", jobrun.ErrUnavailable, err.Error())
	}
	if kind := s.engine.Classify(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}
