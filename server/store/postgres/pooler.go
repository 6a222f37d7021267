package postgres

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// dialer says how the connections of one store are opened.
type dialer struct {
	url string
	db  *sql.DB // that has them
	// connections is how many are open at most.
	connections int
	// pooled is whether a pooler is in between, so that a statement must not rely on an earlier one.
	pooled atomic.Bool
}

// configure sets how to open the next connection. It reads the URL anew, and with it the files that
// the URL names: a password or a certificate may have been replaced.
func (d *dialer) configure(_ context.Context, config *pgx.ConnConfig) error {
	fresh, _, err := parse(d.url)
	if err != nil {
		return oneLine(err)
	}
	*config = *fresh
	if d.pooled.Load() && config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // prepares nothing
	}
	byDefault := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, failure *pgconn.PgError) bool {
		if failure.Code != readOnly {
			return byDefault(conn, failure)
		}
		d.dropIdle() // another server may be the primary by now
		return false // which closes this one
	}
	return nil
}

// dropIdle closes the connections that nobody uses.
func (d *dialer) dropIdle() {
	d.db.SetMaxIdleConns(0)
	d.db.SetMaxIdleConns(d.connections)
}

// isPooled reports whether a pooler such as PgBouncer stands between this process and the server: it
// names another process than the one that answers. It may give each transaction another session of
// the server, in which prepared statements and LISTEN do not last, and does not tell whether it
// does (pool_mode, https://www.pgbouncer.org/features.html).
func isPooled(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid int32
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return uint32(pid) != conn.PgConn().PID(), err
}
