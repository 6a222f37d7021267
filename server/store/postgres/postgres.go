// Package postgres is the engine of stores that many machines share: PostgreSQL.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jobruns/jobruns/server/store"
)

// Engine takes URLs of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE, with everything that
// PostgreSQL allows in them
// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). The tables
// are in the schema "jobruns", unless the URL has a search_path. A process opens at most 10
// connections, or pool_max_conns.
//
// A lease counts on the database's clock, which is the same for all machines.
var Engine = store.Engine{
	Form: "postgres://USER:PASSWORD@HOST/DATABASE",
	Takes: func(url string) bool {
		return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
	},
	Connect: connect,
	Lease: store.Lease{
		Columns: []string{"lease_renewed"},
		Values:  []string{clock},
		Clock:   clock,
		Counts:  "true",
		Lapsed:  "CASE WHEN lease_renewed < " + clock + " - %d THEN lease_renewed / 1000 END",
	},
	Revision:   "number",
	Parameter:  '$',
	SkipLocked: " FOR UPDATE SKIP LOCKED",
	Import:     importRows,
	Follow:     follow,
	Classify:   classify,
}

const clock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// schema is the schema that holds the tables.
const schema = "jobruns"

// maxConnections caps the connections of a process, unless the URL has pool_max_conns.
const maxConnections = 10

const (
	connectTimeout = 5 * time.Second // unless the URL has connect_timeout
	idleTime       = time.Minute     // after which an unused connection is closed
)

func connect(ctx context.Context, text string, _ bool) (*sql.DB, error) {
	pool, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, oneLine(err)
	}
	if parsed, err := url.Parse(text); err == nil && !parsed.Query().Has("pool_max_conns") {
		pool.MaxConns = maxConnections
	}
	config := pool.ConnConfig
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["search_path"] == "" {
		config.RuntimeParams["search_path"] = schema
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "jobruns"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(int(pool.MaxConns))
	db.SetMaxIdleConns(int(pool.MaxConns))
	db.SetConnMaxIdleTime(idleTime)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(oneLine(err), db.Close())
	}
	return db, nil
}
