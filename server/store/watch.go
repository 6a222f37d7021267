package store

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// leaseInterval is how often a watch looks for leases that have run out, and how long it pauses
// after an error.
const leaseInterval = time.Second

// Watch looks for conclusions on behalf of all callers of Await, until it is cancelled.
type Watch struct {
	store    *Store
	begun    chan struct{} // closed when no conclusion escapes it any more, or something failed
	hasBegun bool
	cancel   context.CancelFunc
	next     time.Time // when to look for leases again
}

// run follows what is written. While the store cannot be read, waiting callers look for themselves,
// and find out why.
func (w *Watch) run(ctx context.Context) {
	defer w.Begin() // the store may be closed before the watch has begun
	for ctx.Err() == nil {
		err := w.store.engine.Follow(ctx, w.store.db, w) // waiting callers find out why it has failed
		w.Begin()
		if err != nil {
			pause(ctx, leaseInterval)
		}
	}
}

// Begin says that no conclusion escapes the engine from now on.
func (w *Watch) Begin() {
	if w.hasBegun {
		w.LookAgain() // some conclusions may have escaped it meanwhile
		return
	}
	w.hasBegun = true
	close(w.begun)
}

// RunColumns returns the columns of the table runs that ScanRun scans, separated by commas.
func (w *Watch) RunColumns() string { return w.store.engine.runColumns() }

// Concluded tells the callers who wait for the run of that key that it has concluded. run is what
// they return; if it is nil, they read the run.
func (w *Watch) Concluded(key jobrun.Key, run *model.JobRun) { w.store.watcher.tell(key, run) }

// LookAgain has all waiting callers read their run, because some conclusions may have been missed.
func (w *Watch) LookAgain() { w.store.watcher.tellEveryone() }

// Lapsed finds the leases that have run out, if it is time to. Returns the database's error.
func (w *Watch) Lapsed(ctx context.Context) error {
	if time.Now().Before(w.next) {
		return nil
	}
	ctx, cancel := limit(ctx)
	defer cancel()
	engine := w.store.engine
	rows, err := w.store.db.QueryContext(ctx, "SELECT "+keyColumns+" FROM "+engine.table("runs")+
		" WHERE "+engine.Lease.Running+" AND "+engine.Lease.lapsedSince()+" IS NOT NULL")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key jobrun.Key
		if err := rows.Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
			return err
		}
		w.Concluded(key, nil)
	}
	w.next = time.Now().Add(leaseInterval)
	return rows.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
