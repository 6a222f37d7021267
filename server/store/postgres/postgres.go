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

// Engine takes URLs of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE, and what else PostgreSQL allows in them
// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). The tables are in the schema
// "jobruns", unless the URL has a search_path. At most 10 connections are used, or pool_max_conns.
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
	Parameter:  '$',
	SkipLocked: " FOR UPDATE SKIP LOCKED",
	Import:     importRows,
	Follow:     follow,
	Classify:   classify,
}

const clock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// schema is the schema that holds the tables.
const schema = "jobruns"

// maxConnections is how many connections a process has at the most, unless the URL says otherwise with
// pool_max_conns.
const maxConnections = 10

// How long to try to connect, unless the URL says otherwise with connect_timeout, and how long a connection that is not
// used is kept.
const (
	connectTimeout = 5 * time.Second
	idleTime       = time.Minute
)

func connect(ctx context.Context, text string) (*sql.DB, error) {
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
