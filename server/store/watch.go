package store

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// watchPause is the pause of a watch after an error.
const watchPause = time.Second

// Watch looks for conclusions on behalf of all callers of Await, until it is cancelled.
type Watch struct {
	store    *Store
	begun    chan struct{} // closed when no conclusion escapes it any more, or something failed
	hasBegun bool
	cancel   context.CancelFunc
}

// run follows what is written. While the store cannot be read, waiting callers look for themselves,
// and find out why.
func (w *Watch) run(ctx context.Context) {
	defer w.Begin() // the store may be closed before the watch has begun
	for ctx.Err() == nil {
		err := w.store.engine.Follow(ctx, w.store.db, w) // waiting callers find out why it has failed
		w.Begin()
		if err != nil {
			pause(ctx, watchPause)
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
func (w *Watch) RunColumns() string { return fieldColumns }

// Concluded tells the callers who wait for the run of that key that it has concluded. run is what
// they return; if it is nil, they read the run.
func (w *Watch) Concluded(key jobrun.Key, run *model.JobRun) { w.store.watcher.tell(key, run) }

// LookAgain has all waiting callers read their run, because some conclusions may have been missed.
func (w *Watch) LookAgain() { w.store.watcher.tellEveryone() }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
