package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jobruns/jobruns/server/stored"
)

// followPostgres listens to what a trigger notifies of, on one of the connections.
func followPostgres(ctx context.Context, s *Store, begun func()) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(raw any) error {
		err := s.listen(ctx, raw.(*stdlib.Conn).Conn(), begun)
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err) // nobody else can use one that listens
	})
}

func (s *Store) listen(ctx context.Context, conn *pgx.Conn, begun func()) error {
	if _, err := conn.Exec(ctx, "LISTEN jobruns_concluded"); err != nil {
		return err
	}
	leases := lapses{store: s}
	if err := leases.begin(ctx); err != nil {
		return err
	}
	begun()
	for {
		limited, cancel := context.WithTimeout(ctx, leaseInterval)
		notification, err := conn.WaitForNotification(limited)
		cancel()
		switch {
		case err == nil:
			var key [4]string
			if err := json.Unmarshal([]byte(notification.Payload), &key); err != nil {
				return err
			}
			s.watcher.tell(stored.RunKey{Team: key[0], Project: key[1], Job: key[2], Run: key[3]}, nil)
		case !pgconn.Timeout(err) || ctx.Err() != nil:
			return err
		default:
			if err := ping(ctx, conn); err != nil {
				return err
			}
		}
		if err := leases.look(ctx); err != nil {
			return err
		}
	}
}

// ping notices when the other end has gone without a word.
func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
