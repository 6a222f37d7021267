package server

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/VictoriaMetrics/fastcache"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

// Runs is where runs are read from.
type Runs interface {
	// Run returns the run as it was stored, and whether it is final: then it can only be replaced
	// or removed, which Revisions tells of. A run whose recorder has died has concluded, and is not
	// final. Returns jobrun.ErrNotFound if there is none, or none of that job, project or team.
	// Returns jobrun.ErrUnavailable if the store cannot be reached.
	Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, final bool, err error)
	// Await returns the run as soon as it has concluded, or else as it is when enough is closed.
	// Returns errors as Run does, and the context's when it ends.
	Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error)
}

// runReader reads runs: from memory if they cannot have changed, else from the store. What it
// returns is checked against the contract and encoded. It is safe for concurrent use.
type runReader struct {
	store    Runs
	revision *revision
	cache    *fastcache.Cache // of encoded final runs, outside of the heap; nil for none
	check    func(*model.JobRunResult) error
	metrics  *metrics
}

// newRunReader returns a reader with a cache of that many bytes, in which older runs make room for
// new ones.
func newRunReader(
	store Runs,
	revision *revision,
	cacheBytes int,
	check func(*model.JobRunResult) error,
	metrics *metrics,
) *runReader {
	r := &runReader{store: store, revision: revision, check: check, metrics: metrics}
	if cacheBytes > 0 {
		r.cache = fastcache.New(cacheBytes)
	}
	return r
}

// read returns the body of a response with the run. If the run has not concluded, read waits that
// long for it. Returns errors as Runs does, and one that names the field and the rule if the
// contract does not allow the run.
func (r *runReader) read(ctx context.Context, key jobrun.Key, wait time.Duration) ([]byte, error) {
	revision, known := r.revision.Current(ctx)
	if r.cache == nil || !known {
		body, _, err := r.readStore(ctx, key, wait)
		return body, err
	}
	entry := cacheKey(revision, key)
	if body, found := r.cache.HasGet(nil, entry); found {
		return body, nil
	}
	body, final, err := r.readStore(ctx, key, wait)
	if err == nil && final {
		r.cache.Set(entry, body)
	}
	return body, err
}

func (r *runReader) readStore(
	ctx context.Context,
	key jobrun.Key,
	wait time.Duration,
) (body []byte, final bool, err error) {
	run, final, err := r.store.Run(ctx, key)
	if err == nil && !run.Concluded && wait > 0 {
		run, err = r.await(ctx, key, wait)
	}
	if err != nil {
		return nil, false, err
	}
	result := model.JobRunResult{Data: *run}
	if err := r.check(&result); err != nil {
		return nil, false, err
	}
	body, err = encode(result)
	return body, final, err
}

// await waits for the run to conclude until the time is up or the server shuts down.
func (r *runReader) await(ctx context.Context, key jobrun.Key, wait time.Duration) (*model.JobRun, error) {
	x := exchangeOf(ctx)
	begin := time.Now()
	r.metrics.waiters.Inc()
	defer func() {
		r.metrics.waiters.Dec()
		x.waited = time.Since(begin)
	}()
	listen.ExtendWriteDeadline(x.writer, wait)
	enough, cancel := listen.UntilShutdown(ctx, wait)
	defer cancel()
	return r.store.Await(ctx, key, enough)
}

// cacheKey has the revision in it, so that runs of an earlier one are not found any more. No ID has
// a slash.
func cacheKey(revision int64, key jobrun.Key) []byte {
	entry := make([]byte, 0, 128)
	entry = binary.LittleEndian.AppendUint64(entry, uint64(revision))
	for _, part := range [...]string{key.Team, key.Project, key.Job, key.Run} {
		entry = append(append(entry, part...), '/')
	}
	return entry
}
