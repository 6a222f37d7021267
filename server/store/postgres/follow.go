package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// listenInterval is how often a listening connection is checked, and how often waiting callers look
// where nobody can listen.
const listenInterval = time.Second

// errPooled means that notifications may not arrive.
var errPooled = errors.New("a connection pooler is in between")

// sayPooled says once in the log of a process why its callers learn of conclusions later.
var sayPooled = sync.OnceFunc(func() {
	slog.Warn("a connection pooler is between this process and PostgreSQL: " +
		"looking for conclusions every second, and preparing no statements; a store URL that leads past it is faster")
})

// follow listens, on one of the connections, to the notifications that a trigger sends. Where they
// may not arrive, it has all waiting callers look every second.
func follow(ctx context.Context, db *sql.DB, w *store.Watch) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var end error
	if err := conn.Raw(func(raw any) error {
		end = listen(ctx, raw.(*stdlib.Conn).Conn(), w)
		return driver.ErrBadConn // a listening connection must not be reused
	}); !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	if !errors.Is(end, errPooled) {
		return end
	}
	sayPooled()
	return look(ctx, w)
}

// look has all waiting callers read their run every second.
func look(ctx context.Context, w *store.Watch) error {
	w.Begin()
	ticker := time.NewTicker(listenInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.LookAgain()
	}
}

// listen listens on the connection until it is too old or fails.
// Returns errPooled if notifications may not arrive.
func listen(ctx context.Context, conn *pgx.Conn, w *store.Watch) error {
	if err := begin(ctx, conn); err != nil {
		return err
	}
	w.Begin()
	for end := time.Now().Add(maxAge); time.Now().Before(end); {
		limited, cancel := context.WithTimeout(ctx, listenInterval)
		notification, err := conn.WaitForNotification(limited)
		cancel()
		switch {
		case err == nil:
			var key [4]string
			if err := json.Unmarshal([]byte(notification.Payload), &key); err != nil {
				return err
			}
			w.Concluded(jobrun.Key{Team: key[0], Project: key[1], Job: key[2], Run: key[3]}, nil)
		case !pgconn.Timeout(err) || ctx.Err() != nil:
			return err
		default:
			if err := ping(ctx, conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin starts to listen.
func begin(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	pooled, err := isPooled(ctx, conn)
	if err != nil {
		return err
	}
	if pooled {
		return errPooled
	}
	_, err = conn.Exec(ctx, "LISTEN jobruns_concluded")
	return err
}
