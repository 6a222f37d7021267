package server

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/fastcache"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

// Runs is where runs are read from.
type Runs interface {
	// Run returns the run. Revisions changes whenever a run that has concluded changes.
	// Returns jobrun.ErrNotFound if there is no such run, and jobrun.ErrUnavailable if the store
	// cannot be reached.
	Run(ctx context.Context, key jobrun.Key) (*model.JobRun, error)
	// Await returns the run as soon as it has concluded, or else as it is when enough is closed.
	// Returns errors as Run does, and the context's when it ends.
	Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error)
}

// runReader reads runs from memory if they cannot have changed, or else from the store, and encodes
// them. It is safe for concurrent use.
type runReader struct {
	store    Runs
	revision *revision
	cache    *fastcache.Cache // of encoded runs that have concluded, outside of the heap; nil for none
	waiters  prometheus.Gauge
}

// newRunReader returns a reader with a cache of that many bytes, in which older runs make room for
// new ones.
func newRunReader(store Runs, revision *revision, cacheBytes int, waiters prometheus.Gauge) *runReader {
	r := &runReader{store: store, revision: revision, waiters: waiters}
	if cacheBytes > 0 {
		r.cache = fastcache.New(cacheBytes)
	}
	return r
}

// read returns the body of a response with the run. If the run has not concluded, read waits for
// its conclusion, for at most the time wait, and returns how long it waited.
// Returns errors as Runs does.
func (r *runReader) read(
	ctx context.Context, key jobrun.Key, wait time.Duration,
) (body []byte, waited time.Duration, err error) {
	revision, known := r.revision.Current(ctx)
	var entry []byte // nil if nothing is cached
	if r.cache != nil && known {
		entry = cacheKey(revision, key)
		if body, found := r.cache.HasGet(nil, entry); found {
			return body, 0, nil
		}
	}
	run, err := r.store.Run(ctx, key)
	cacheable := err == nil && run.Concluded && entry != nil
	if err == nil && !run.Concluded && wait > 0 {
		run, waited, err = r.await(ctx, key, wait)
	}
	if err != nil {
		return nil, waited, err
	}
	if body, err = encode(model.JobRunResult{Data: *run}); err == nil && cacheable {
		r.cache.Set(entry, body)
	}
	return body, waited, err
}

// await waits until the run concludes, the time is up or the server shuts down.
func (r *runReader) await(
	ctx context.Context, key jobrun.Key, wait time.Duration,
) (*model.JobRun, time.Duration, error) {
	begin := time.Now()
	r.waiters.Inc()
	defer r.waiters.Dec()
	enough, cancel := listen.UntilShutdown(ctx, wait)
	defer cancel()
	run, err := r.store.Await(ctx, key, enough)
	return run, time.Since(begin), err
}

// cacheKey contains the revision, so that a run of an earlier revision is not found. No ID contains
// a slash.
func cacheKey(revision int64, key jobrun.Key) []byte {
	entry := make([]byte, 0, 128)
	entry = binary.LittleEndian.AppendUint64(entry, uint64(revision))
	for _, part := range [...]string{key.Team, key.Project, key.Job, key.Run} {
		entry = append(append(entry, part...), '/')
	}
	return entry
}

// Revisions is where the server finds out whether what does not change by itself has been changed.
type Revisions interface {
	// Revision returns a number that becomes another one whenever a run that has concluded or a token is changed
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
