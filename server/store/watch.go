package store

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// leaseInterval is how often a watch looks for leases that have run out, and how long it rests when something is in the
// way.
const leaseInterval = time.Second

// Watch looks for conclusions on behalf of all who wait, until it is cancelled.
type Watch struct {
	store    *Store
	begun    chan struct{} // closed when nothing escapes it any more, or something is in the way
	hasBegun bool
	cancel   context.CancelFunc
	next     time.Time // when to look for leases again
	until    int64     // those that were renewed before then, on the engine's clock, have been looked at
}

// run follows what is written. While the store cannot be read, those who wait are told to look for themselves, and find
// out why.
func (w *Watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.store.engine.Follow(ctx, w.store.db, w) // those who wait find out why it has ended
		w.begin()
		pause(ctx, leaseInterval)
	}
}

// Begin says that no conclusion escapes the engine from here on. Returns the database's error if its clock cannot be read.
func (w *Watch) Begin(ctx context.Context) error {
	now, err := w.now(ctx)
	if err != nil {
		return err
	}
	w.until = now - leaseTime.Milliseconds()
	w.next = time.Now().Add(leaseInterval)
	w.begin()
	return nil
}

func (w *Watch) begin() {
	if w.hasBegun {
		w.store.watcher.tellEveryone() // of what has escaped it meanwhile
		return
	}
	w.hasBegun = true
	close(w.begun)
}

// Concluded says that the run of that key has, for all who wait for it to look.
func (w *Watch) Concluded(key jobrun.Key) { w.store.watcher.tell(key, nil) }

// Lapsed finds the leases that have run out since it last looked, if it is time to. Returns the database's error.
func (w *Watch) Lapsed(ctx context.Context) error {
	if time.Now().Before(w.next) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	now, err := w.now(ctx)
	if err != nil {
		return err
	}
	until := now - leaseTime.Milliseconds()
	rows, err := w.store.db.QueryContext(ctx, "SELECT team, project, job, id FROM runs WHERE concluded = 0 AND "+w.store.engine.Lease.Counts+
		" AND lease_renewed IS NOT NULL AND lease_renewed >= $1 AND lease_renewed < $2", w.until, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key jobrun.Key
		if err := rows.Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
			return err
		}
		w.Concluded(key)
	}
	w.until = until
	w.next = time.Now().Add(leaseInterval)
	return rows.Err()
}

// now is what the engine's clock says.
func (w *Watch) now(ctx context.Context) (int64, error) {
	var now int64
	err := w.store.db.QueryRowContext(ctx, "SELECT "+w.store.engine.Lease.Clock).Scan(&now)
	return now, err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
