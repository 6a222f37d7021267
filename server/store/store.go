// Package store keeps runs and tokens in a database.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jobruns/jobruns/server"
)

var _ server.Store = (*Store)(nil)

// ErrExists means that what was to be created is there already.
var ErrExists = errors.New("exists already")

// Store is a database of runs and tokens. It is safe for concurrent use, by several processes too.
//
// Every method returns an error that wraps server.ErrUnavailable when the database cannot be reached.
type Store struct {
	db      *sql.DB
	clock   steady
	watcher watcher
}

// Open opens the store that the URL names, and brings its schema up to date. The form is sqlite:PATH; the file is
// made, readable for its owner only, when there is none.
// Returns an error that names the URL and says what to do if it is of another form, or if the file cannot be opened,
// is not a database, belongs to another program, or was written by a newer version of this one.
func Open(ctx context.Context, url string) (*Store, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || path == "" {
		return nil, fmt.Errorf("store %q: not of the form sqlite:PATH", url)
	}
	clock, err := newSteady()
	if err != nil {
		return nil, fmt.Errorf("the machine's clock: %w", err)
	}
	db, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", url, err)
	}
	return &Store{db: db, clock: clock, watcher: watcher{waiting: map[server.RunKey]map[*waiter]struct{}{}}}, nil
}

// Close gives the database up. Every later call fails with server.ErrUnavailable.
func (s *Store) Close() error {
	return s.db.Close()
}

// classify marks an error of the database as what it is for a caller.
// Returns nil for nil, server.ErrNotFound for sql.ErrNoRows, an error that names the broken rule if a constraint of the
// schema refused a value, and an error that wraps server.ErrUnavailable for anything else.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return server.ErrNotFound
	case isConstraint(err):
		return fmt.Errorf("the contract does not allow this value: %w", err)
	}
	return fmt.Errorf("%w: %w", server.ErrUnavailable, err)
}
