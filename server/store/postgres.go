package store

import (
	"context"
	"database/sql"
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
	"github.com/jobruns/jobruns/server/stored"
	"github.com/pressly/goose/v3"
)

// A lease counts on the database's clock, which is the same for all machines.
var postgresEngine = engine{
	leaseSQL: leaseSQL{
		columns: []string{"lease_renewed"},
		values:  []string{postgresClock},
		clock:   postgresClock,
		counts:  "true",
		lapsed:  "CASE WHEN lease_renewed < " + postgresClock + " - %d THEN lease_renewed / 1000 END",
	},
	skipLocked: " FOR UPDATE SKIP LOCKED",
	importAll:  importPostgres,
	follow:     followPostgres,
}

const postgresClock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// postgresSchema is the schema that holds the tables.
const postgresSchema = "jobruns"

// postgresConnections is how many connections a process has at the most, unless the URL says otherwise with
// pool_max_conns.
const postgresConnections = 10

// How long to try to connect, unless the URL says otherwise with connect_timeout, and how long a connection that is not
// used is kept.
const (
	postgresConnectTimeout = 5 * time.Second
	postgresIdleTime       = time.Minute
)

// postgresMigrationLock is the key of the advisory lock under which the schema is brought up to date: "jobr".
const postgresMigrationLock = 1785684594

func openPostgres(ctx context.Context, text string) (*sql.DB, error) {
	pool, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, oneLine(err)
	}
	if parsed, err := url.Parse(text); err == nil && !parsed.Query().Has("pool_max_conns") {
		pool.MaxConns = postgresConnections
	}
	config := pool.ConnConfig
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = postgresConnectTimeout
	}
	if config.RuntimeParams["search_path"] == "" {
		config.RuntimeParams["search_path"] = postgresSchema
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "jobruns"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(int(pool.MaxConns))
	db.SetMaxIdleConns(int(pool.MaxConns))
	db.SetConnMaxIdleTime(postgresIdleTime)
	if err := migratePostgres(ctx, db); err != nil {
		return nil, errors.Join(oneLine(err), db.Close())
	}
	return db, nil
}

// withoutPassword is the URL as a person may read it.
func withoutPassword(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		scheme, _, _ := strings.Cut(text, ":")
		return scheme + "://..." // nobody knows where the password is
	}
	if query := parsed.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
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

// migratePostgres brings the schema up to date. Of several processes that start at once one does it, the others wait.
func migratePostgres(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/postgres")
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
	if current, err := isCurrent(ctx, db, files); err != nil || current {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", postgresMigrationLock); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", postgresMigrationLock)
	}()
	// Who may not create schemas can have it created, and then must not ask for it.
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT current_schema() IS NOT NULL").Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.ExecContext(ctx, "CREATE SCHEMA "+postgresSchema); err != nil {
			return err
		}
	}
	return migrate(ctx, goose.DialectPostgres, db, files)
}

// importPostgres first collects the runs in a temporary table, so that nobody waits until the last run has been read.
func importPostgres(ctx context.Context, s *Store, records iter.Seq2[stored.Record, error]) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		return pgx.BeginFunc(ctx, driver.(*stdlib.Conn).Conn(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE imported (LIKE runs, line bigserial) ON COMMIT DROP"); err != nil {
				return err
			}
			next, stop := iter.Pull2(records)
			defer stop()
			source := pgx.CopyFromFunc(func() ([]any, error) {
				record, err, more := next()
				if err != nil || !more {
					return nil, err
				}
				return values(record), nil
			})
			columns := strings.FieldsFunc(runColumns, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, columns, source); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO runs ("+runColumns+") SELECT "+runColumns+
				" FROM (SELECT DISTINCT ON (team, project, job, id) * FROM imported ORDER BY team, project, job, id, line DESC) last "+
				s.replaceRun())
			return err
		})
	})
}

// isPostgresConstraint reports whether a constraint of the schema, or a type, refused a value
// (https://www.postgresql.org/docs/current/errcodes-appendix.html, classes 22 and 23).
func isPostgresConstraint(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (strings.HasPrefix(failure.Code, "22") || strings.HasPrefix(failure.Code, "23"))
}

func isPostgresDuplicate(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && failure.Code == "23505" // unique_violation
}
