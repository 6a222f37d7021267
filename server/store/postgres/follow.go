package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

const (
	listenInterval = time.Second     // how often a listening connection is checked
	pingTimeout    = 5 * time.Second // how long the server may take to answer that check
)

// follow listens, on one of the connections, to the notifications that a trigger sends.
func follow(ctx context.Context, db *sql.DB, w *store.Watch) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(raw any) error {
		err := listen(ctx, raw.(*stdlib.Conn).Conn(), w)
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err) // a listening connection must not be reused
	})
}

func listen(ctx context.Context, conn *pgx.Conn, w *store.Watch) error {
	if _, err := conn.Exec(ctx, "LISTEN jobruns_concluded"); err != nil {
		return err
	}
	if err := w.Begin(ctx); err != nil {
		return err
	}
	for {
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
		if err := w.Lapsed(ctx); err != nil {
			return err
		}
	}
}

// ping finds out whether the server still answers: a lost connection may never return an error by
// itself.
func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
