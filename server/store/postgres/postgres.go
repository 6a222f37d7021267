// Package postgres is the engine of stores that many machines share: PostgreSQL.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

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
	Parameter:    '$',
	SkipLocked:   " FOR UPDATE SKIP LOCKED",
	Import:       importRows,
	Follow:       follow,
	RefusedValue: refusedValue,
	IsDuplicate:  isDuplicate,
}

//go:embed migrations
var migrations embed.FS

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

// migrationLock is the key of the advisory lock under which the schema is brought up to date: "jobr".
const migrationLock = 1785684594

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

// oneLine makes one line of pgx's list of what was tried.
func oneLine(err error) error {
	return rephrased{err, strings.Join(strings.Fields(err.Error()), " ")}
}

// rephrased is an error in other words.
type rephrased struct {
	error
	words string
}

func (r rephrased) Error() string { return r.words }
func (r rephrased) Unwrap() error { return r.error }

// migrate brings the schema up to date. Of several processes that start at once one does it, the others wait.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s: create one with UTF8", encoding)
	}
	if current, err := store.IsCurrent(ctx, db, files); err != nil || current {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	}()
	// Who may not create schemas can have it created, and then must not ask for it.
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT current_schema() IS NOT NULL").Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
			return err
		}
	}
	return store.Migrate(ctx, goose.DialectPostgres, db, files)
}

// importRows first collects the runs in a temporary table, so that nobody waits until the last run has been read.
func importRows(ctx context.Context, db *sql.DB, rows store.Rows) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		return pgx.BeginFunc(ctx, driver.(*stdlib.Conn).Conn(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE imported (LIKE runs, line bigserial) ON COMMIT DROP"); err != nil {
				return err
			}
			next, stop := iter.Pull2(rows.Values)
			defer stop()
			source := pgx.CopyFromFunc(func() ([]any, error) {
				row, err, _ := next()
				return row, err
			})
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, rows.Columns, source); err != nil {
				return err
			}
			columns := strings.Join(rows.Columns, ", ")
			_, err := tx.Exec(ctx, "INSERT INTO runs ("+columns+") SELECT "+columns+
				" FROM (SELECT DISTINCT ON (team, project, job, id) * FROM imported ORDER BY team, project, job, id, line DESC) last "+
				rows.OnConflict)
			return err
		})
	})
}

// refusedValue reports whether a constraint of the schema, or a type, refused a value
// (https://www.postgresql.org/docs/current/errcodes-appendix.html, classes 22 and 23).
func refusedValue(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (strings.HasPrefix(failure.Code, "22") || strings.HasPrefix(failure.Code, "23"))
}

func isDuplicate(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && failure.Code == "23505" // unique_violation
}
