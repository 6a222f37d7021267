package command

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// fakeStore keeps what is put into it, and fails as long as it is broken. A recorder uses it from
// one goroutine.
type fakeStore struct {
	mu     sync.Mutex
	broken error // under mu
	opened int
	closed int
	puts   []int // the completions of the runs put
	hangs  bool
	deaf   bool          // hangs, and does not heed contexts
	taken  bool          // another run has the id
	hold   chan struct{} // made in the bubble
}

func (f *fakeStore) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

func (f *fakeStore) fix() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = nil
}

func (f *fakeStore) open(context.Context) (Runs, error) {
	if f.deaf {
		<-f.hold
	}
	if err := f.failure(); err != nil {
		return (*fakeStore)(nil), err // as a function does that returns a pointer
	}
	f.opened++
	return f, nil
}

func (f *fakeStore) PutRun(ctx context.Context, r jobrun.Record) error {
	if f.hangs {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := f.failure(); err != nil {
		return err
	}
	f.puts = append(f.puts, r.Run.Completions)
	return nil
}

func (f *fakeStore) CreateRun(ctx context.Context, r jobrun.Record) error {
	if f.taken {
		return errHopeless
	}
	return f.PutRun(ctx, r)
}

func (f *fakeStore) Close() error {
	f.closed++
	return nil
}

var errHopeless = errors.New("this store cannot be used")

func state(completions int) jobrun.Record {
	return jobrun.Record{Run: model.JobRun{Completions: completions}}
}

// TestRecorder runs in a bubble, whose time passes only when all wait.
func TestRecorder(t *testing.T) {
	broken := errors.New("no space left on device")
	for name, test := range map[string]struct {
		store    *fakeStore
		do       func(*Recorder, *fakeStore)
		puts     []int
		warnings int
		err      error
		within   time.Duration
	}{
		"writes each state": {&fakeStore{}, func(r *Recorder, _ *fakeStore) {
			for i := range 3 {
				r.Record(state(i))
				synctest.Wait()
			}
		}, []int{0, 1, 2}, 0, nil, 0},
		"a newer state overtakes": {&fakeStore{hangs: true}, func(r *Recorder, f *fakeStore) {
			r.Record(state(0))
			synctest.Wait()
			for i := 1; i < 10; i++ {
				r.Record(state(i))
			}
			close(f.hold)
		}, []int{0, 9}, 0, nil, 0},
		"nothing to write": {&fakeStore{}, func(*Recorder, *fakeStore) {}, nil, 0, nil, 0},
		"writes again, to say that it lives": {&fakeStore{}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
			time.Sleep(2*renewal + renewal/2)
		}, []int{0, 0, 0}, 0, nil, 0},
		"a store that comes back": {&fakeStore{broken: broken}, func(r *Recorder, f *fakeStore) {
			r.Record(state(0))
			time.Sleep(time.Hour)
			f.fix()
			r.Record(state(1))
			synctest.Wait()
		}, []int{1}, 1, nil, 0},
		"the latest state when it comes back": {&fakeStore{broken: broken}, func(r *Recorder, f *fakeStore) {
			r.Record(state(0))
			synctest.Wait()
			r.Record(state(1))
			f.fix()
		}, []int{1}, 1, nil, maxRetry},
		"a store that stays away": {&fakeStore{broken: broken}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
		}, nil, 1, broken, lastChance},
		"a store that hangs": {&fakeStore{hangs: true}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
		}, nil, 0, jobrun.ErrTimeout, lastChance},
		"a store that hangs is warned of": {&fakeStore{hangs: true}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
			time.Sleep(writeLimit)
		}, nil, 1, jobrun.ErrTimeout, lastChance},
		"a store that hangs while it is opened, whatever its context": {&fakeStore{deaf: true}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
		}, nil, 0, jobrun.ErrTimeout, lastChance + closeGrace},
		"a store that opens late": {&fakeStore{deaf: true}, func(r *Recorder, f *fakeStore) {
			r.Record(state(0))
			time.Sleep(3 * openLimit)
			close(f.hold)
			time.Sleep(maxRetry)
			r.Record(state(1))
		}, []int{0, 0, 0, 1}, 1, nil, 0},
		"a store that never works": {&fakeStore{broken: errHopeless}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
			synctest.Wait()
			r.Record(state(1))
		}, nil, 1, errHopeless, 0},
		"a store that never works, mended by the command": {&fakeStore{broken: errHopeless}, func(r *Recorder, f *fakeStore) {
			r.Record(state(0))
			time.Sleep(time.Hour)
			f.fix()
			r.Record(state(1))
			synctest.Wait()
		}, []int{1}, 1, nil, 0},
		"an id that is taken": {&fakeStore{taken: true}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
			if err := r.First(context.Background()); !errors.Is(err, errHopeless) {
				t.Errorf("first: %v", err)
			}
			r.Record(state(1))
		}, nil, 1, errHopeless, 0},
		"an id that is free": {&fakeStore{}, func(r *Recorder, _ *fakeStore) {
			r.Record(state(0))
			if err := r.First(context.Background()); err != nil {
				t.Errorf("first: %v", err)
			}
			r.Record(state(1))
		}, []int{0, 1}, 0, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.store.hold = make(chan struct{})
				var warnings []error
				stored := 0
				r := NewRecorder(Options{
					Open:     test.store.open,
					Claim:    strings.HasPrefix(name, "an id that"),
					Hopeless: func(err error) bool { return errors.Is(err, errHopeless) },
					Stored:   func() { stored++ },
					Failed:   func(err error) { warnings = append(warnings, err) },
				})
				test.do(r, test.store)
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), lastChance)
				defer cancel()
				err := r.Close(ctx)
				if took := time.Since(begin); took > test.within {
					t.Errorf("closing took %s, more than %s", took, test.within)
				}
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Errorf("closed with %v, want %v", err, test.err)
				}
				if diff := cmp.Diff(test.puts, test.store.puts); diff != "" {
					t.Errorf("put (-want +got):\n%s", diff)
				}
				if want := min(len(test.puts), 1); stored != want {
					t.Errorf("told %d times that the run is stored, want %d", stored, want)
				}
				if len(warnings) != test.warnings {
					t.Errorf("warned of %v, want %d warnings", warnings, test.warnings)
				}
				if test.store.deaf && test.err != nil {
					close(test.store.hold) // only now, so that the test ends
					synctest.Wait()
					return
				}
				if test.store.opened != test.store.closed {
					t.Errorf("opened %d times, closed %d times", test.store.opened, test.store.closed)
				}
			})
		})
	}
}
