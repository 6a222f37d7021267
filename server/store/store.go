// Package store keeps runs and tokens in a database, SQLite or PostgreSQL, in the same tables.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/jobruns/jobruns/server/stored"
)

// ErrExists means that what was to be created is there already.
var ErrExists = errors.New("exists already")

// readTimeout bounds how long an answer can take to find, so that a database that hangs counts as one that is away.
const readTimeout = 5 * time.Second

//go:embed migrations
var migrations embed.FS

// Store is a database of runs and tokens. It is safe for concurrent use, by several processes too.
//
// Every method returns an error that wraps stored.ErrUnavailable when the database cannot be reached.
type Store struct {
	engine
	db       *sql.DB
	runQuery string   // readRun, put together once
	prepared sync.Map // of queryRow: a *sql.Stmt for each query
	watcher  watcher
	open     context.Context // ends with Close
	end      context.CancelFunc
}

// engine is where SQLite and PostgreSQL differ.
type engine struct {
	leaseSQL
	// prepares is whether a query that is not prepared is parsed and planned each time.
	prepares bool
	// skipLocked ends a query for rows that are to be removed, so that it passes over those that another is writing.
	skipLocked string
	// importAll stores what Store.ImportRuns is to store.
	importAll func(ctx context.Context, s *Store, records iter.Seq2[stored.Record, error]) error
	// follow tells those who wait of what they wait for, until something is in the way. It calls begun as soon as nothing
	// escapes it any more.
	follow func(ctx context.Context, s *Store, begun func()) error
}

// Open opens the store that the URL names, and brings its schema up to date. It has one of two forms:
//   - sqlite:PATH: the file is made, readable for its owner only, when there is none.
//   - postgres://USER:PASSWORD@HOST:PORT/DATABASE, and what else PostgreSQL allows in it
//     (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). The tables are in the schema
//     "jobruns", unless the URL has a search_path. At most 10 connections are used, or pool_max_conns.
//
// Returns an error that names the URL, without a password, and says what to do if it is of another form, or if the
// database cannot be opened, belongs to another program, or was written by a newer version of this one.
func Open(ctx context.Context, url string) (*Store, error) {
	var db *sql.DB
	var engine engine
	var err error
	path, isSQLite := strings.CutPrefix(url, "sqlite:")
	switch {
	case isSQLite && path != "":
		engine = sqliteEngine
		db, err = openSQLite(ctx, path)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		engine = postgresEngine
		db, err = openPostgres(ctx, url)
		url = withoutPassword(url)
	default:
		err = errors.New("not of the form sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	}
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", url, err)
	}
	s := &Store{engine: engine, db: db, runQuery: engine.readRun(), watcher: watcher{waiting: map[stored.RunKey]map[*waiter]struct{}{}}}
	s.open, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close gives the database up. Every later call fails with stored.ErrUnavailable, and so does a call of Await that has
// not returned yet.
func (s *Store) Close() error {
	defer s.end() // after the database, so that those who wait find it closed
	return s.db.Close()
}

// queryRow is QueryRowContext for one of the few queries that are asked all the time.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if !s.prepares {
		return s.db.QueryRowContext(ctx, query, args...)
	}
	prepared, ok := s.prepared.Load(query)
	if !ok {
		statement, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return s.db.QueryRowContext(ctx, query, args...) // which says so too
		}
		if prepared, ok = s.prepared.LoadOrStore(query, statement); ok {
			_ = statement.Close() // another was faster
		}
	}
	return prepared.(*sql.Stmt).QueryRowContext(ctx, args...)
}

// Ready checks that the database can be reached and has its tables.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "SELECT 1 FROM runs LIMIT 1")
	return classify(err)
}

// classify marks an error of the database as what it is for a caller.
// Returns nil for nil, stored.ErrNotFound for sql.ErrNoRows, an error that names the broken rule if a constraint of the
// schema refused a value, and an error that wraps stored.ErrUnavailable for anything else.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return stored.ErrNotFound
	case isSQLiteConstraint(err) || isPostgresConstraint(err):
		return fmt.Errorf("the contract does not allow this value: %w", err)
	}
	return fmt.Errorf("%w: %w", stored.ErrUnavailable, err)
}

// isDuplicate reports whether the schema refused a value because there is the same already.
func isDuplicate(err error) bool {
	return isSQLiteDuplicate(err) || isPostgresDuplicate(err)
}

// isCurrent reports whether the schema is up to date. goose would ask more questions, and nearly every start needs only
// this one.
func isCurrent(ctx context.Context, db *sql.DB, files fs.FS) (bool, error) {
	names, err := fs.Glob(files, "*.sql") // numbered from 1
	if err != nil {
		return false, err
	}
	var version int
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version)
	return err == nil && version == len(names), nil // an error is goose's to find
}

// migrate brings the schema up to date with goose, which must not run twice at once.
// Returns an error if the schema is that of a newer version of this program.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS) error {
	provider, err := goose.NewProvider(dialect, db, files)
	if err != nil {
		return err
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if has > knows {
		return fmt.Errorf("the database has schema %d, this program knows %d: use a newer version of it", has, knows)
	}
	_, err = provider.Up(ctx)
	return err
}
