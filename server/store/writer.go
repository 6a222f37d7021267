package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxBatch is how many writes one transaction combines at most.
const maxBatch = 64

// write is a change of one run, which waits for the writer.
type write struct {
	key jobrun.Key
	// change changes the row, or returns an error, and the row stays as it was. The row of a new run
	// has only a key. A transaction that is tried again calls it again.
	change func(r *row, isNew bool) error
	run    model.JobRun // the run after the change
	err    error        // what change returned
	done   chan error   // receives the error of the transaction, or else of the change
}

// write passes a write to the writer, and waits for the end of its transaction.
func (s *Store) write(ctx context.Context, w *write) error {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return s.classify(ctx, ctx.Err())
	case <-s.open.Done():
		return s.classify(ctx, sql.ErrConnDone)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return s.classify(ctx, ctx.Err())
	}
}

// runWriter commits writes until the store is closed. Writes that arrive during a transaction form
// the next one.
func (s *Store) runWriter() {
	for {
		var batch []*write
		select {
		case w := <-s.writes:
			batch = append(batch, w)
		case <-s.open.Done():
			return
		}
		runtime.Gosched() // callers that can run now, such as those of the last batch, join this one
		for more := true; more && len(batch) < maxBatch; {
			select {
			case w := <-s.writes:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		s.commit(batch)
	}
}

// writeAll passes writes to the writer, waits for the end of their transactions, and returns their
// errors.
func (s *Store) writeAll(ctx context.Context, writes []*write) []error {
	var all sync.WaitGroup
	errs := make([]error, len(writes))
	for i, w := range writes {
		all.Go(func() { errs[i] = s.write(ctx, w) })
	}
	all.Wait()
	return errs
}

// commit commits the writes in one transaction. If that fails, it commits each write by itself, as
// long as the database can be reached: a write that the database refuses does not fail the others.
func (s *Store) commit(batch []*write) {
	// All processes lock rows in the same order, so that two never wait for each other.
	slices.SortStableFunc(batch, func(a, b *write) int { return compareKeys(a.key, b.key) })
	err := s.transact(batch)
	again := err != nil && !errors.Is(err, jobrun.ErrTimeout)
	for i, w := range batch {
		if again {
			err = s.transact(batch[i : i+1])
			again = !errors.Is(err, jobrun.ErrUnavailable)
		}
		w.done <- cmp.Or(err, w.err)
	}
}

// transact makes the changes of the writes, which are sorted by key, in one transaction.
func (s *Store) transact(batch []*write) error {
	ctx, cancel := limitWrite(s.open)
	defer cancel()
	tx, err := s.db.BeginTx(ctx, readCommitted)
	if err != nil {
		return s.classify(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	if err = s.change(ctx, tx, batch); err == nil {
		err = tx.Commit()
	}
	if err == nil {
		err = s.Check()
	}
	return s.classify(ctx, err)
}

func compareKeys(a, b jobrun.Key) int {
	return slices.Compare(
		[]string{a.Team, a.Project, a.Job, a.Run}, []string{b.Team, b.Project, b.Job, b.Run})
}
