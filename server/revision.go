package server

import (
	"context"
	"sync/atomic"
	"time"
)

// Revisions is where the server finds out whether what does not change by itself has been changed.
type Revisions interface {
	// Revision returns a number that becomes another one whenever a final run or a token is changed
	// or removed: what was read after it was asked for is unchanged for as long as the number stays
	// the same. Returns jobrun.ErrUnavailable if the store cannot be reached.
	Revision(ctx context.Context) (int64, error)
}

// revisionAge is for how long what the store says of its revision counts, and so for how long a
// cached run or token may still be used after somebody has changed or removed it.
const revisionAge = time.Second

// revision follows the store's revision while there are requests. No request waits for it.
type revision struct {
	store   Revisions // nil if nothing is cached
	latest  atomic.Pointer[seenRevision]
	looking atomic.Bool
}

// seenRevision is what the store said, and when it was asked.
type seenRevision struct {
	number int64
	at     time.Time
}

func newRevision(store Revisions) *revision {
	r := &revision{store: store}
	r.latest.Store(&seenRevision{}) // long ago
	return r
}

// Current returns the revision that the store had less than revisionAge ago, and false if it is not
// known. In time for the next request, it asks the store in the background.
func (r *revision) Current(ctx context.Context) (number int64, known bool) {
	if r.store == nil {
		return 0, false
	}
	seen := r.latest.Load()
	age := time.Since(seen.at)
	if age >= revisionAge/2 && r.looking.CompareAndSwap(false, true) {
		go func() {
			defer r.looking.Store(false)
			r.look(context.WithoutCancel(ctx))
		}()
	}
	return seen.number, age < revisionAge
}

func (r *revision) look(ctx context.Context) {
	begin := time.Now()
	if number, err := r.store.Revision(ctx); err == nil { // otherwise the next query fails too, and says why
		r.latest.Store(&seenRevision{number, begin})
	}
}
