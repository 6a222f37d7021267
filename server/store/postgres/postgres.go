// Package postgres is the engine of stores that many machines share: PostgreSQL.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jobruns/jobruns/server/store"
)

// Engine takes URLs of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE, with everything that
// PostgreSQL allows in them
// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). The tables
// are in the schema "jobruns", which the queries name, because a pooler such as PgBouncer refuses a
// search_path; a URL that has one goes by that instead. A process opens at most 10 connections, or
// pool_max_conns.
var Engine = store.Engine{
	Form: "postgres://USER:PASSWORD@HOST/DATABASE",
	Takes: func(url string) bool {
		return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
	},
	Connect:    connect,
	Redact:     redact,
	Tables:     tables,
	Schema:     schemaVersion,
	LockRow:    " FOR UPDATE",
	Parameter:  '$',
	SkipLocked: " FOR UPDATE SKIP LOCKED",
	Import:     importRows,
	Build:      build,
	Follow:     follow,
	Explain:    func(_ string, err error) error { return oneLine(err) },
	Classify:   classify,
}

// schema is the schema that holds the tables.
const schema = "jobruns"

// maxConnections caps the connections of a process, unless the URL has pool_max_conns.
const maxConnections = 10

const (
	connectTimeout = 5 * time.Second // for each host, unless the URL has connect_timeout
	pingTimeout    = 2 * time.Second // for a connection to show that it still works
	idleTime       = time.Minute     // after which an unused connection is closed
	// maxAge bounds how long a connection stays with a server that is no longer the right one, and
	// with a password that has been replaced.
	maxAge = 5 * time.Minute
)

// redact is store.Engine's Redact: it leaves out the user, the password and the parameters.
func redact(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	if _, _, err := parse(text); err != nil {
		return scheme + "://..." // the password may be anywhere
	}
	if _, host, hasUser := strings.Cut(rest, "@"); hasUser {
		rest = host
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest
}

// tables is store.Engine's Tables.
func tables(text string) string {
	if config, _, err := parse(text); err != nil || config.RuntimeParams["search_path"] != "" {
		return ""
	}
	return schema + "."
}

func connect(ctx context.Context, text string, _ bool) (*sql.DB, func() error, error) {
	_, connections, err := parse(text)
	if err != nil {
		return nil, nil, oneLine(fmt.Errorf("%w: %w", store.ErrUnusable, err))
	}
	d := &dialer{url: text, connections: connections}
	db := stdlib.OpenDB(pgx.ConnConfig{}, stdlib.OptionBeforeConnect(d.configure), stdlib.OptionShouldPing(shouldPing))
	d.db = db
	if err := prepare(ctx, db, d, tables(text)); err != nil {
		if neverWorks(err) {
			err = fmt.Errorf("%w: %w", store.ErrUnusable, err)
		}
		return nil, nil, errors.Join(oneLine(err), db.Close())
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(maxAge)
	return db, nil, nil
}

// errAmbiguous means that a part of a password may be taken for a host or a database, and so appear
// in messages.
var errAmbiguous = errors.New(`write "@", "/" and "?" in the user, the password and the parameters of the URL ` +
	`as %40, %2F and %3F`)

// parse returns how to connect, and how many connections to open at most. Its error contains
// nothing of a password.
func parse(text string) (config *pgx.ConnConfig, connections int, err error) {
	_, rest, _ := strings.Cut(text, "://")
	user, host, hasUser := strings.Cut(rest, "@")
	if hasUser && (strings.ContainsAny(user, "/?") || strings.Contains(host, "@")) {
		return nil, 0, errAmbiguous
	}
	pool, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, 0, parseError(err)
	}
	config, connections = pool.ConnConfig, int(pool.MaxConns)
	if !strings.Contains(text, "pool_max_conns=") { // url.Parse takes no URL with several hosts
		connections = maxConnections
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "jobruns"
	}
	return config, connections, nil
}

// shouldPing has the driver check a connection that was idle. A check of our own comes first, which
// ends soon: if it fails, it closes the connection, and the driver opens another.
func shouldPing(ctx context.Context, of stdlib.ShouldPingParams) bool {
	return of.IdleDuration > time.Second && ping(ctx, of.Conn) != nil
}

// ping finds out whether the server still answers: a lost connection may never return an error by
// itself.
func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
