package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	// collecting is how long a change waits for others, to be written with them.
	collecting = 20 * time.Millisecond
	// chunkSize is how many runs are written in one transaction at the most, for others have to
	// write too.
	chunkSize = 500
	// writeTimeout is how long a transaction may take.
	writeTimeout = 30 * time.Second
	// lastChance is how long what is left may take to be written in the end.
	lastChance = 5 * time.Second
)

// Store is where a watcher writes runs.
type Store interface {
	// PutRuns stores all the runs, of which no two have the same key, or none. Returns an error
	// that wraps jobrun.ErrInvalid if a run breaks the contract; after any other error, trying
	// again may help.
	PutRuns(ctx context.Context, records []jobrun.Record) error
	// Unconcluded returns the runs last observed at a source of that prefix that have not
	// concluded.
	Unconcluded(ctx context.Context, sourcePrefix string) ([]jobrun.Record, error)
}

// writer writes the latest states of runs, many at once, and goes on trying when the store cannot
// be written.
type writer struct {
	store   Store
	log     *slog.Logger
	metrics *metrics
	more    chan struct{} // full when there is something to write
	failure error         // why the store cannot be reached; nil if it can

	mu      sync.Mutex
	pending map[jobrun.Key]*jobrun.Record // those that are being written included
	waiting []chan struct{}               // to be closed when what is pending is stored
}

func newWriter(store Store, log *slog.Logger) *writer {
	return &writer{
		store: store, log: log,
		more:    make(chan struct{}, 1),
		pending: map[jobrun.Key]*jobrun.Record{},
	}
}

// put has the state written, unless a later one waits already, by the rule of the store: see
// jobrun.Record. It does not block.
func (w *writer) put(record jobrun.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.pending[record.Key()]
	if before == nil || before.Version <= record.Version && (record.Run.Concluded || !before.Run.Concluded) {
		w.pending[record.Key()] = &record
	}
	w.wake()
}

// flushed returns a channel that is closed once what was put until now is stored.
func (w *writer) flushed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := make(chan struct{})
	w.waiting = append(w.waiting, done)
	w.wake()
	return done
}

func (w *writer) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// unwritten returns how many runs wait to be stored.
func (w *writer) unwritten() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending)
}

// run writes until the context ends, and then once more, for a few seconds.
func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-w.more:
			_ = pause(ctx, collecting)
			again(ctx, w.flush)
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastChance)
	defer cancel()
	if !w.flush(last) {
		w.log.Error("runs could not be written before the end", "runs", w.unwritten(), "error", w.failure)
	}
}

// pause returns false if the context ended before the time was up.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// flush writes all that is pending. Returns false, and keeps what is not written, if the store
// cannot be reached.
func (w *writer) flush(ctx context.Context) bool {
	w.mu.Lock()
	records, waiting := slices.Collect(maps.Values(w.pending)), w.waiting
	w.waiting = nil
	w.mu.Unlock()
	for chunk := range slices.Chunk(records, chunkSize) {
		err := w.write(ctx, chunk)
		w.mu.Lock()
		if err != nil {
			w.waiting = append(w.waiting, waiting...)
			w.mu.Unlock()
			w.failed(ctx, err)
			return false
		}
		for _, record := range chunk {
			if w.pending[record.Key()] == record { // else a later state waits
				delete(w.pending, record.Key())
			}
		}
		w.mu.Unlock()
	}
	for _, done := range waiting {
		close(done)
	}
	return true
}

// write writes a chunk. Runs that the store refuses are left out. Returns an error if the store
// cannot be reached.
func (w *writer) write(ctx context.Context, chunk []*jobrun.Record) error {
	records := make([]jobrun.Record, len(chunk))
	for i, record := range chunk {
		records[i] = *record
	}
	refusal, err := w.putRuns(ctx, records)
	if err != nil || refusal == nil {
		return err
	}
	for one := range slices.Chunk(records, 1) { // to find those that it refuses
		refusal, err := w.putRuns(ctx, one)
		if err != nil {
			return err
		}
		if refusal != nil {
			w.metrics.refused.Inc()
			w.log.Error("run refused by the store", append(name(one[0]), "error", refusal)...)
		}
	}
	return nil
}

// putRuns returns why the store refuses the runs for good, or an error that may pass.
func (w *writer) putRuns(ctx context.Context, records []jobrun.Record) (refusal, err error) {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err = w.store.PutRuns(limited, records)
	switch {
	case err == nil:
		w.metrics.written.Add(float64(len(records)))
		w.succeeded()
		return nil, nil
	case errors.Is(err, jobrun.ErrInvalid):
		return err, nil
	}
	return nil, err
}

func (w *writer) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // it was this process that ended the attempt
	}
	w.metrics.writeErrors.Inc()
	if w.failure == nil {
		w.log.Error("store away, trying again", "runs", w.unwritten(), "error", err)
	}
	w.failure = err
}

func (w *writer) succeeded() {
	if w.failure != nil {
		w.failure = nil
		w.log.Info("store back")
	}
}

// name returns what the log says of a run.
func name(r jobrun.Record) []any {
	return []any{"project", r.Project, "job", r.Job, "run", r.Run.ID, "name", r.Run.RunName}
}
