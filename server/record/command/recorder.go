package command

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// How long a recorder waits before it tries again to write, and how long opening the store and
// writing may take before that counts as a failure. A lease outlasts a renewal and a write that
// times out.
const (
	firstRetry = 50 * time.Millisecond
	maxRetry   = 10 * time.Second
	openLimit  = 10 * time.Second
	writeLimit = 10 * time.Second
)

// renewal is how often a state is written again that is still the latest, to say that this recorder
// lives.
const renewal = 5 * time.Second

// closeGrace is how much longer than its context Close waits for a write that is being canceled, and
// for the store to close.
const closeGrace = 50 * time.Millisecond

// Runs is where a recorder writes runs.
type Runs interface {
	// PutRun stores the run in place of an earlier state of it.
	PutRun(ctx context.Context, record jobrun.Record) error
	// CreateRun is PutRun for a run that the store does not have yet.
	// Returns an error if it has another run of that key.
	CreateRun(ctx context.Context, record jobrun.Record) error
	io.Closer
}

// Options are where a Recorder writes, and what it tells of that. All functions are required, and
// are called from another goroutine.
type Options struct {
	// Open opens the store. It may take longer than its context allows.
	Open func(context.Context) (Runs, error)
	// Claim says that somebody chose the run's id, so that another run may have it. The recorder
	// then leaves that run as it is.
	Claim bool
	// Hopeless reports whether an error most likely stays, so that the recorder tries again only
	// once, with the last state.
	Hopeless func(error) bool
	// Stored is called when a state is stored for the first time. It must not block.
	Stored func()
	// Failed is called when a state cannot be stored for the first time. It must not block.
	Failed func(error)
}

// Recorder writes the state of one run in the background, again every few seconds, and goes on
// trying when the store cannot be written, unless that is hopeless. A state that a newer one has
// overtaken is not written any more. Its methods wait for the store no longer than they are told
// to, even for one that does not heed its context.
type Recorder struct {
	options   Options
	unclaimed bool               // the id may be that of another run
	latest    chan jobrun.Record // the state to be written next, if any
	first     chan error         // the outcome of the first attempt to write
	done      chan error         // the outcome of all
	closed    chan struct{}      // closed when the store is
	cancel    context.CancelFunc
	opening   chan opened // while the store is being opened

	mu      sync.Mutex
	failure error // of the latest attempt to write, under mu
}

type opened struct {
	runs Runs
	err  error
}

// NewRecorder returns a recorder that opens the store when there is something to write. Close
// releases it.
func NewRecorder(options Options) *Recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		options: options, unclaimed: options.Claim, cancel: cancel,
		latest: make(chan jobrun.Record, 1),
		first:  make(chan error, 1),
		done:   make(chan error, 1),
		closed: make(chan struct{}),
	}
	go r.run(ctx)
	return r
}

// Record has the state written and does not wait for it. It must not be called by several
// goroutines at once, nor after Close.
func (r *Recorder) Record(record jobrun.Record) {
	select {
	case <-r.latest: // overtaken
	default:
	}
	r.latest <- record
}

// First waits for the first attempt to write a state, and returns its outcome, or the context's
// error. It must be called once at the most.
func (r *Recorder) First(ctx context.Context) error {
	select {
	case err := <-r.first:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close waits until the latest state is written, or the context has ended.
// Returns the reason if the state could not be written, or may not be.
func (r *Recorder) Close(ctx context.Context) error {
	close(r.latest)
	defer r.cancel()
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		r.cancel()
		select {
		case err = <-r.done:
		case <-time.After(closeGrace):
			return r.reason(jobrun.ErrTimeout)
		}
	}
	select {
	case <-r.closed:
	case <-time.After(closeGrace):
	}
	return err
}

// reason returns why the latest attempt to write failed, or else err.
func (r *Recorder) reason(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	return err
}

func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
}

// run writes each state, and then closes the store.
func (r *Recorder) run(ctx context.Context) {
	defer close(r.closed)
	var runs Runs
	put := func(record jobrun.Record) (err error) {
		if runs == nil {
			if runs, err = r.opened(ctx); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeoutCause(ctx, writeLimit, jobrun.ErrTimeout)
		defer cancel()
		if !r.unclaimed {
			return runs.PutRun(ctx, record)
		}
		if err = runs.CreateRun(ctx, record); err == nil {
			r.unclaimed = false
		}
		return err
	}
	r.done <- r.write(ctx, put)
	if runs != nil {
		_ = runs.Close() // everything is written by now, or reported
	}
}

// opened opens the store. It does not wait beyond openLimit or the end of the context; the next
// call then waits for the same attempt.
func (r *Recorder) opened(ctx context.Context) (Runs, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	if r.opening == nil {
		r.opening = make(chan opened, 1)
		go func() {
			runs, err := r.options.Open(ctx)
			if err != nil {
				runs = nil // rather than a nil pointer in an interface
			}
			r.opening <- opened{runs, err}
		}()
	}
	defer cancel()
	select {
	case o := <-r.opening:
		r.opening = nil
		return o.runs, o.err
	case <-ctx.Done():
		return nil, jobrun.ErrTimeout
	}
}

// write puts each state until there will be no more, or the context ends, and returns what is in
// the way of the last.
func (r *Recorder) write(ctx context.Context, put func(jobrun.Record) error) error {
	var record jobrun.Record
	var again <-chan time.Time // when to write the record once more
	var failure error          // of the latest attempt to write it
	var once struct{ first, stored, failed sync.Once }
	latest, retry := r.latest, firstRetry
	for {
		select {
		case next, more := <-latest:
			switch {
			case more:
				record = next
			case failure == nil:
				return nil
			default:
				latest = nil // this state is the last, and not written yet
			}
		case <-again:
		case <-ctx.Done():
			return failure
		}
		if failure != nil && latest != nil && r.options.Hopeless(failure) {
			continue // until the last state, because the command may have mended it
		}
		failure = put(record)
		if failure != nil && ctx.Err() != nil {
			return r.reason(jobrun.ErrTimeout) // what was in the way before says more
		}
		r.fail(failure)
		once.first.Do(func() { r.first <- failure })
		switch {
		case failure != nil:
			once.failed.Do(func() { r.options.Failed(failure) })
			if again = nil; !r.options.Hopeless(failure) {
				again, retry = time.After(retry), min(2*retry, maxRetry)
			} else if latest == nil {
				return failure
			}
		case latest == nil:
			once.stored.Do(r.options.Stored)
			return nil
		default:
			once.stored.Do(r.options.Stored)
			again, retry = time.After(renewal), firstRetry
		}
	}
}
