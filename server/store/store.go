// Package store keeps runs and tokens in a database: in SQLite, or, with a package of its own, in PostgreSQL. The tables are
// the same.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// ErrExists means that what was to be created is there already.
var ErrExists = errors.New("exists already")

// readTimeout bounds how long an answer can take to find, so that a database that hangs counts as one that is away.
const readTimeout = 5 * time.Second

// Store is a database of runs and tokens. It is safe for concurrent use, by several processes too.
//
// Every method returns an error that wraps jobrun.ErrUnavailable when the database cannot be reached.
type Store struct {
	engine   Engine
	db       *sql.DB
	runQuery string   // readRun, put together once
	prepared sync.Map // of queryRow: a *sql.Stmt for each query
	watcher  watcher
	open     context.Context // ends with Close
	end      context.CancelFunc
}

// Open opens the store that a URL names, and brings its schema up to date. The URL has the form sqlite:PATH, or that of
// one of the other engines. The file of SQLite is made, readable for its owner only, when there is none.
//
// Returns an error that names the URL, without a password, and says what to do if it is of another form, or if the
// database cannot be opened, belongs to another program, or was written by a newer version of this one.
func Open(ctx context.Context, text string, others ...Engine) (*Store, error) {
	engine, err := engineOf(text, others)
	if err != nil {
		return nil, err
	}
	db, err := engine.Connect(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", redacted(text), err)
	}
	s := &Store{engine: engine, db: db, runQuery: engine.readRun(), watcher: watcher{waiting: map[jobrun.Key]map[*waiter]struct{}{}}}
	s.open, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Takes reports whether Open has an engine for the URL.
func Takes(text string, others ...Engine) bool {
	_, err := engineOf(text, others)
	return err == nil
}

func engineOf(text string, others []Engine) (Engine, error) {
	var forms []string
	for _, e := range append([]Engine{sqliteEngine}, others...) {
		if e.Takes(text) {
			return e, nil
		}
		forms = append(forms, e.Form)
	}
	return Engine{}, fmt.Errorf("store %q: not of the form %s", redacted(text), strings.Join(forms, " or "))
}

// redacted is the URL as a person may read it, without a password.
func redacted(text string) string {
	if strings.HasPrefix(text, sqlitePrefix) {
		return text // a path, which may look like anything
	}
	parsed, err := url.Parse(text)
	if err != nil {
		if scheme, _, isURL := strings.Cut(text, "://"); isURL {
			return scheme + "://..." // nobody knows where the password is
		}
		return text
	}
	query := parsed.Query()
	if parsed.User == nil && !query.Has("password") {
		return text
	}
	if query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
}

// Close gives the database up. Every later call fails with jobrun.ErrUnavailable, and so does a call of Await that has
// not returned yet.
func (s *Store) Close() error {
	defer s.end() // after the database, so that those who wait find it closed
	return s.db.Close()
}

// queryRow is QueryRowContext for one of the few queries that are asked all the time.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if !s.engine.Prepares {
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
	return s.classify(err)
}

// classify marks an error of the database as what it is for a caller.
// Returns nil for nil, jobrun.ErrNotFound for sql.ErrNoRows, an error that names the broken rule if a constraint of the
// schema refused a value, and an error that wraps jobrun.ErrUnavailable for anything else.
func (s *Store) classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return jobrun.ErrNotFound
	case s.engine.RefusedValue(err):
		return fmt.Errorf("the contract does not allow this value: %w", err)
	}
	return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, err)
}
