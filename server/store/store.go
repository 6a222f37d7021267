// Package store stores runs and tokens in a database. Each database is an Engine in a package of
// its own, such as store/sqlite; the tables are the same in all of them.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// ErrExists means that what was to be created exists already.
var ErrExists = errors.New("exists already")

// ErrUnusable means that a store cannot be opened, and that trying again does not help: the URL is
// wrong, or the database belongs to another program or to a newer version of this one.
var ErrUnusable = errors.New("this store cannot be used")

// ErrPartly means that some runs of an import are stored, and others are not. Importing all again
// helps.
var ErrPartly = errors.New("only some runs were imported")

// Store is a database of runs and tokens. It is safe for concurrent use, by several processes too.
//
// Every method returns an error that wraps jobrun.ErrUnavailable if the database cannot be reached,
// jobrun.ErrTimeout if it did not answer in time, and the context's error if the caller's context
// has ended.
type Store struct {
	engine       Engine
	url          string
	db           *sql.DB
	moved        func() error // as Engine.Connect returns it
	unstored     []int        // the indices of fields of a run that no column stores
	runQuery     string       // readRun of each kind, put together once
	outcomeQuery string
	logQuery     string
	rowQuery     string
	writes       chan *write             // see runWriter
	listened     atomic.Pointer[reading] // nil before it is read, and after an error
	outdated     atomic.Pointer[error]   // why this program must no longer use the database, if so
	prepared     sync.Map                // of queryRow: a *sql.Stmt for each query
	lists        chan struct{}           // holds a value for each list that is being read
	watcher      watcher
	closed       atomic.Bool
	open         context.Context // ends with Close
	end          context.CancelFunc
}

// Open opens the store that a URL names with the one of the engines that takes it, and brings its
// schema up to date. If there is no store yet, it creates one.
//
// Returns an error that names the URL, without a password, and says what to do if the database
// cannot be opened, belongs to another program, or needs a newer version of this one. The error for
// a URL that no engine takes does not repeat the URL. It wraps ErrUnusable if opening the store
// again cannot help. Returns an error that names the field if the contract requires one of a run
// that is not stored.
func Open(ctx context.Context, text string, engines ...Engine) (*Store, error) {
	return open(ctx, text, true, engines)
}

// OpenExisting is Open, and creates no file. If there is none, its error wraps ErrUnusable and
// fs.ErrNotExist.
func OpenExisting(ctx context.Context, text string, engines ...Engine) (*Store, error) {
	return open(ctx, text, false, engines)
}

func open(ctx context.Context, text string, create bool, engines []Engine) (*Store, error) {
	unstored, err := checkFields(reflect.TypeFor[model.JobRun](), fields)
	if err != nil {
		return nil, err
	}
	engine, err := engineOf(text, engines)
	if err != nil {
		return nil, err
	}
	if engine.Tables != nil {
		engine.tables = engine.Tables(text)
	}
	db, moved, err := engine.Connect(ctx, text, create)
	if err != nil {
		if engine.Redact != nil {
			text = engine.Redact(text)
		}
		return nil, fmt.Errorf("store %q: %w", text, err)
	}
	s := &Store{
		engine: engine, url: text, db: db, moved: moved, unstored: unstored, runQuery: engine.readRun(fieldColumns),
		outcomeQuery: engine.readRun("concluded, outcome"), logQuery: engine.readRun("concluded, outcome, log"),
		rowQuery: engine.readRun(rowColumns), writes: make(chan *write),
		lists:   make(chan struct{}, max(1, db.Stats().MaxOpenConnections/2)),
		watcher: watcher{waiting: map[jobrun.Key]map[*waiter]struct{}{}},
	}
	s.open, s.end = context.WithCancel(context.Background())
	go s.runWriter()
	return s, nil
}

func engineOf(text string, engines []Engine) (Engine, error) {
	var forms []string
	for _, e := range engines {
		if e.Takes(text) {
			return e, nil
		}
		forms = append(forms, e.Form)
	}
	// The text may be a password, or another program's URL with one.
	return Engine{}, fmt.Errorf("%w: its URL is not of the form %s", ErrUnusable, strings.Join(forms, " or "))
}

// Close closes the database. Every later call fails with jobrun.ErrUnavailable, and so does a call
// of Await that has not returned yet.
func (s *Store) Close() error {
	s.closed.Store(true)
	defer s.end() // after the database, so that waiting callers find it closed
	return s.db.Close()
}

// queryRow is QueryRowContext for one of the few queries that are used all the time.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if prepared := s.prepare(ctx, query); prepared != nil {
		return prepared.QueryRowContext(ctx, args...)
	}
	return s.db.QueryRowContext(ctx, query, args...)
}

// query is QueryContext, as queryRow is QueryRowContext.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if prepared := s.prepare(ctx, query); prepared != nil {
		return prepared.QueryContext(ctx, args...)
	}
	return s.db.QueryContext(ctx, query, args...)
}

// prepare returns the prepared query, or nil if it cannot be prepared, or need not.
func (s *Store) prepare(ctx context.Context, query string) *sql.Stmt {
	if !s.engine.Prepares {
		return nil
	}
	prepared, ok := s.prepared.Load(query)
	if !ok {
		statement, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return nil // the query itself returns the error
		}
		if prepared, ok = s.prepared.LoadOrStore(query, statement); ok {
			_ = statement.Close() // another goroutine was faster
		}
	}
	return prepared.(*sql.Stmt)
}

// Check returns an error that wraps ErrUnusable if the database is no longer where it was opened: a
// file that was moved, removed or replaced. The program has to end then; what it stored after that is
// lost. Methods that write check this by themselves.
func (s *Store) Check() error {
	if s.moved == nil {
		return nil
	}
	return s.moved()
}

// Ready checks that the database can be reached and has its tables.
// Returns an error that wraps jobrun.ErrUnavailable, whatever is wrong.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := limit(ctx)
	defer cancel()
	_, err := s.db.ExecContext(ctx, "SELECT 1 FROM "+s.engine.table("runs")+" LIMIT 1")
	if err = s.classify(ctx, err); err == nil || errors.Is(err, jobrun.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, err)
}

// readTimeout bounds how long a query of a few rows may take, so that a caller learns soon that the
// database hangs.
const readTimeout = 5 * time.Second

// writeTimeout bounds a statement that writes or reads many rows. It is as long as a writer of
// SQLite waits for others.
const writeTimeout = 10 * time.Second

// limit bounds a query by readTimeout. classify tells this limit from the caller's own.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, readTimeout, jobrun.ErrTimeout)
}

// limitWrite bounds a statement by writeTimeout, as limit does.
func limitWrite(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, writeTimeout, jobrun.ErrTimeout)
}

// readCommitted is the isolation of all transactions. A database may have another default, with
// which transactions that run at the same time fail. SQLite ignores it.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// exec executes one statement within writeTimeout.
func (s *Store) exec(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	result, err := s.execAlone(ctx, statement, args...)
	if err == nil {
		err = s.Check()
	}
	return result, s.classify(ctx, err)
}

// execAlone executes one statement in a transaction. Returns the database's own error.
func (s *Store) execAlone(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	tx, err := s.db.BeginTx(ctx, readCommitted)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return result, tx.Commit()
}

// classify turns an error of the database into what it is to the caller; ctx is the context of the
// query. Returns nil for nil, the context's error if the caller's context has ended,
// jobrun.ErrNotFound for sql.ErrNoRows, and an error that wraps what Engine.Classify or the
// standard library's error says it is. Any other error is returned as Engine.Explain returns it.
func (s *Store) classify(ctx context.Context, err error) error {
	outdated := s.outdated.Load()
	switch {
	case err == nil:
		return nil
	case outdated != nil:
		return fmt.Errorf("%w: %w", jobrun.ErrOutdated, *outdated)
	case errors.Is(err, sql.ErrNoRows):
		return jobrun.ErrNotFound
	}
	if s.engine.Explain != nil {
		err = s.engine.Explain(s.url, err)
	}
	switch {
	case s.closed.Load():
		return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, err)
	case errors.Is(context.Cause(ctx), jobrun.ErrTimeout):
		return fmt.Errorf("%w: %w", jobrun.ErrTimeout, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", jobrun.ErrUnavailable, err)
	}
	if kind := s.engine.Classify(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}
