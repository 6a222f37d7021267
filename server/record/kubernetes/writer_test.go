package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

var errAway = fmt.Errorf("%w: no route to host", jobrun.ErrUnavailable)

// stateOf returns a state of run i that goes on, with so many completions.
func stateOf(i int, version int64, completions int) jobrun.Record {
	return jobrun.Record{
		Team: "t", Project: "p", Job: "j", Source: "s", Version: version,
		Run: model.JobRun{ID: fmt.Sprint("run-", i), Completions: completions, Status: model.JobRunStatusRunning},
	}
}

// concluded is a state that has concluded.
func concluded(r jobrun.Record) jobrun.Record { return gone(r, time.Now(), jobGone) }

// TestWriter runs in a bubble, whose time passes only when all wait.
func TestWriter(t *testing.T) {
	refusal := jobrun.ErrInvalid
	for name, test := range map[string]struct {
		do    func(*writer, *fakeStore)
		puts  []int          // how many runs each transaction has
		runs  map[string]int // the completions that are stored
		lines map[string]int // how often the log says it
	}{
		"one": {func(w *writer, _ *fakeStore) { w.put(stateOf(1, 1, 1)) }, []int{1}, map[string]int{"run-1": 1}, nil},
		"what comes at once is written at once": {func(w *writer, _ *fakeStore) {
			for i := range 3 {
				w.put(stateOf(i, 1, i))
			}
		}, []int{3}, map[string]int{"run-0": 0, "run-1": 1, "run-2": 2}, nil},
		"a newer state overtakes": {func(w *writer, _ *fakeStore) {
			w.put(stateOf(1, 1, 1))
			w.put(stateOf(1, 2, 2))
		}, []int{1}, map[string]int{"run-1": 2}, nil},
		"an older state does not": {func(w *writer, _ *fakeStore) {
			w.put(stateOf(1, 2, 2))
			w.put(stateOf(1, 1, 1))
		}, []int{1}, map[string]int{"run-1": 2}, nil},
		"one that goes on does not overtake a conclusion": {func(w *writer, _ *fakeStore) {
			w.put(concluded(stateOf(1, 1, 1)))
			w.put(stateOf(1, 2, 2))
		}, []int{1}, map[string]int{"run-1": 1}, nil},
		"a conclusion of the same version": {func(w *writer, _ *fakeStore) {
			w.put(stateOf(1, 1, 1))
			w.put(concluded(stateOf(1, 1, 2)))
		}, []int{1}, map[string]int{"run-1": 2}, nil},
		"many": {func(w *writer, _ *fakeStore) {
			for i := range 2*chunkSize + 1 {
				w.put(stateOf(i, 1, 0))
			}
		}, []int{chunkSize, chunkSize, 1}, nil, nil},
		"a store that comes back": {func(w *writer, f *fakeStore) {
			f.fail(errAway)
			w.put(stateOf(1, 1, 1))
			w.put(stateOf(2, 1, 1))
			time.Sleep(time.Hour)
			w.put(stateOf(2, 2, 2))
			f.fail(nil)
			time.Sleep(6 * time.Second) // the longest delay
		}, []int{2}, map[string]int{"run-1": 1, "run-2": 2}, map[string]int{"store away, trying again": 1, "store back": 1}},
		"a store that hangs": {func(w *writer, f *fakeStore) {
			hung := false
			f.hang = func(ctx context.Context) error {
				if hung {
					return nil
				}
				hung = true
				<-ctx.Done()
				return ctx.Err()
			}
			w.put(stateOf(1, 1, 1))
			time.Sleep(collecting + writeTimeout + time.Second)
		}, []int{1}, map[string]int{"run-1": 1}, map[string]int{"store away, trying again": 1, "store back": 1}},
		"a store that stays away": {func(w *writer, f *fakeStore) {
			f.fail(errAway)
			w.put(stateOf(1, 1, 1))
			time.Sleep(time.Minute)
		}, nil, map[string]int{}, map[string]int{"store away, trying again": 1, `before the end" runs=1 error="the store cannot be reached`: 1}},
		"a run that is refused": {func(w *writer, f *fakeStore) {
			f.refuse = func(r jobrun.Record) error {
				if r.Run.ID == "run-1" {
					return refusal
				}
				return nil
			}
			for version := range int64(2) {
				for i := range 3 {
					w.put(stateOf(i, version, int(version)))
				}
				time.Sleep(time.Second)
			}
			w.put(concluded(stateOf(1, 3, 3)))
			time.Sleep(time.Second)
		}, []int{3, 1, 1, 1, 3, 1, 1, 1, 1, 1}, map[string]int{"run-0": 1, "run-2": 1},
			map[string]int{"run refused by the store": 3, "run=run-1": 3, refusal.Error(): 3, "store away": 0}},
		"what is left in the end": {func(w *writer, f *fakeStore) {
			f.fail(errAway)
			w.put(stateOf(1, 1, 1))
			time.Sleep(time.Minute)
			f.fail(nil)
		}, []int{1}, map[string]int{"run-1": 1}, map[string]int{"before the end": 0, "store back": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFakeStore()
				journal, log := newJournal()
				w := newWriter(store, log)
				w.metrics = newMetrics(prometheus.NewRegistry(), func() float64 { return 0 })
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					w.run(ctx)
				}()
				test.do(w, store)
				stored := w.flushed()
				if !slices.Contains([]string{"a store that stays away", "what is left in the end"}, name) {
					<-stored
				}
				begin := time.Now()
				stop()
				<-done
				if took := time.Since(begin); took > lastChance {
					t.Errorf("the end took %s", took)
				}
				var puts []int
				for _, records := range store.puts {
					puts = append(puts, len(records))
				}
				if !slices.Equal(puts, test.puts) {
					t.Errorf("transactions of %v runs, want %v", puts, test.puts)
				}
				for _, r := range store.runs {
					if want, ok := test.runs[r.Run.ID]; test.runs != nil && (!ok || r.Run.Completions != want) {
						t.Errorf("%s is stored with %d completions, want %d, %t", r.Run.ID, r.Run.Completions, want, ok)
					}
				}
				if test.runs != nil && len(store.runs) != len(test.runs) {
					t.Errorf("%d runs are stored, want %d", len(store.runs), len(test.runs))
				}
				for text, want := range test.lines {
					if got := journal.count(text); got != want {
						t.Errorf("the log says %q %d times, want %d:\n%s", text, got, want, journal.text.String())
					}
				}
				if got := w.unwritten(); got != 0 && name != "a store that stays away" {
					t.Errorf("%d runs are left", got)
				}
			})
		})
	}
}

// A state that comes while an older one of the same run is being written, in vain, takes its place.
func TestWriterIsOvertakenWhileItWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		_, log := newJournal()
		w := newWriter(store, log)
		w.metrics = newMetrics(prometheus.NewRegistry(), func() float64 { return 0 })
		attempts := 0
		store.hang = func(context.Context) error {
			if attempts++; attempts > 1 {
				return nil
			}
			w.put(stateOf(1, 2, 2))
			w.put(stateOf(2, 1, 1)) // older than the one that is being written
			return errAway
		}
		w.put(stateOf(1, 1, 1))
		w.put(stateOf(2, 2, 2))
		if w.flush(t.Context()) {
			t.Error("it has written to a store that is away")
		}
		if got := w.unwritten(); got != 2 {
			t.Errorf("%d runs are pending, want 2", got)
		}
		time.Sleep(time.Second)
		if !w.flush(t.Context()) {
			t.Error("it has not written")
		}
		for k, r := range store.runs {
			if r.Version != 2 || r.Run.Completions != 2 {
				t.Errorf("%s is stored as %+v", k.Run, r)
			}
		}
		if got := testutil.ToFloat64(w.metrics.written); got != 2 {
			t.Errorf("%v states are counted as written, want 2", got)
		}
	})
}
