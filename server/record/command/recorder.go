package command

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// How long a recorder waits before it tries again to write, and how long at the most when the
// command has ended.
const (
	firstRetry = 50 * time.Millisecond
	maxRetry   = 10 * time.Second
	lastChance = 10 * time.Second
)

// renewal is how often a state is written again that is still the latest, to say that this recorder
// lives.
const renewal = 5 * time.Second

// Runs is where a recorder writes runs.
type Runs interface {
	// PutRun stores the run in place of an earlier state of it.
	PutRun(ctx context.Context, record jobrun.Record) error
	// Close gives the store up.
	Close() error
}

// Recorder writes the state of one run in the background, again every few seconds, and goes on
// trying when the store cannot be written. A state that a newer one has overtaken is not written
// any more.
type Recorder struct {
	open   func(context.Context) (Runs, error)
	warn   func(error)
	latest chan jobrun.Record // the state to be written next, if any
	done   chan error
	cancel context.CancelFunc
}

// NewRecorder returns a recorder that opens the store at once, or else when there is something to
// write, and calls warn, from another goroutine, when it cannot write for the first time.
func NewRecorder(open func(context.Context) (Runs, error), warn func(error)) *Recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		open:   open,
		warn:   warn,
		latest: make(chan jobrun.Record, 1),
		done:   make(chan error, 1),
		cancel: cancel,
	}
	go func() { r.done <- r.write(ctx) }()
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

// Close waits until the latest state is written, 10 seconds at the most.
// Returns the reason if it could not be written.
func (r *Recorder) Close() error {
	close(r.latest)
	defer time.AfterFunc(lastChance, r.cancel).Stop()
	defer r.cancel()
	return <-r.done
}

// write writes each state until there will be no more, or the context ends, and returns what is in
// the way of the last.
func (r *Recorder) write(ctx context.Context) error {
	var store Runs
	open := func() error {
		opened, err := r.open(ctx)
		if err == nil {
			store = opened
		}
		return err
	}
	put := func(record jobrun.Record) error {
		if store == nil {
			if err := open(); err != nil {
				return err
			}
		}
		return store.PutRun(ctx, record)
	}
	_ = open() // ahead of the first state; what is in the way now is found again
	defer func() {
		if store != nil {
			_ = store.Close() // everything is written by now, or reported
		}
	}()
	var record jobrun.Record
	var again <-chan time.Time // when to write the record once more
	var failure error          // of the latest attempt to write it
	latest, retry, warned := r.latest, firstRetry, false
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
		failure = put(record)
		switch {
		case failure != nil:
			if !warned {
				warned = true
				r.warn(failure)
			}
			again, retry = time.After(retry), min(2*retry, maxRetry)
		case latest == nil:
			return nil
		default:
			again, retry = time.After(renewal), firstRetry
		}
	}
}
