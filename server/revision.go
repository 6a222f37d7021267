package server

import (
	"context"
	"sync/atomic"
	"time"
)

// revisionAge is for how long what the store says of its revision counts, and so for how long what is kept in memory may
// still be used after somebody has changed or removed it.
const revisionAge = time.Second

// revision follows the store's revision while there are requests. No request waits for it.
type revision struct {
	store   Revisions // nil if nobody wants to know
	latest  atomic.Pointer[seenRevision]
	looking atomic.Bool
}

// seenRevision is what the store said, when it was asked.
type seenRevision struct {
	number int64
	at     time.Time
}

func newRevision(store Revisions) *revision {
	r := &revision{store: store}
	r.latest.Store(&seenRevision{}) // long ago
	return r
}

// current returns the revision that the store had less than revisionAge ago, or nil if nobody knows. In time for the next
// request, it has a look in the background.
func (r *revision) current(ctx context.Context, now time.Time) *seenRevision {
	if r.store == nil {
		return nil
	}
	seen := r.latest.Load()
	age := now.Sub(seen.at)
	if age >= revisionAge/2 && r.looking.CompareAndSwap(false, true) {
		go func() {
			defer r.looking.Store(false)
			r.look(context.WithoutCancel(ctx))
		}()
	}
	if age >= revisionAge {
		return nil
	}
	return seen
}

func (r *revision) look(ctx context.Context) {
	begin := time.Now()
	if number, err := r.store.Revision(ctx); err == nil { // else whoever reads something else finds out why
		r.latest.Store(&seenRevision{number, begin})
	}
}
