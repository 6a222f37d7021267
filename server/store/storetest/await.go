package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// Running returns a record of a run that has not concluded, with the changes.
func Running(change ...func(*jobrun.Record)) jobrun.Record {
	return Record(append([]func(*jobrun.Record){func(r *jobrun.Record) {
		r.Run = model.JobRun{ID: r.Run.ID, Active: model.FlagYes, RunName: r.Run.RunName,
			Status: model.JobRunStatusRunning, StartedAt: started}
	}}, change...)...)
}

// Put stores a record, and fails the test if it cannot.
func Put(t *testing.T, s *Store, r jobrun.Record) {
	t.Helper()
	if err := s.PutRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// ConcludeAll concludes all runs as Record's is, in plain SQL.
const ConcludeAll = `UPDATE runs SET concluded = 1, concluded_at = $1, status = 'SUCCESS', active = 0, succeeded = 1, completions = 1`

// Awaited is what a wait returned.
type Awaited struct {
	Run *model.JobRun
	Err error
}

// Await calls the store's Await in another goroutine, and returns when that waits or has returned.
func Await(ctx context.Context, t *testing.T, s *Store, r jobrun.Record, enough <-chan struct{}) <-chan Awaited {
	t.Helper()
	done := make(chan Awaited, 1)
	before := s.Waiting()
	go func() {
		run, err := s.Await(ctx, r.Key(), enough)
		done <- Awaited{run, err}
	}()
	for s.Waiting() == before && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	return done
}

// WantAwaited checks that a wait has returned the record's run.
func WantAwaited(t *testing.T, done <-chan Awaited, want jobrun.Record) {
	t.Helper()
	got := <-done
	if diff := cmp.Diff(&want.Run, got.Run); got.Err != nil || diff != "" {
		t.Errorf("%v, run (-want +got):\n%s", got.Err, diff)
	}
}

func testAwaitTellsOfAConclusionByAnotherProcess(t *testing.T, on subject) {
	for name, conclude := range map[string]func(*testing.T, *Store){
		"recorded": func(t *testing.T, s *Store) { Put(t, s, Record()) },
		"imported": func(t *testing.T, s *Store) {
			err := s.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) { yield(Record(), nil) })
			if err != nil {
				t.Fatal(err)
			}
		},
		"in plain SQL": func(t *testing.T, s *Store) {
			if _, err := s.DB().Exec(ConcludeAll, Record().Run.ConcludedAt.Unix()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := on.open(t)
			Put(t, s, Running())
			done := Await(t.Context(), t, s, Running(), nil)
			conclude(t, on.reopen(t, url))
			WantAwaited(t, done, Record())
		})
	}
}

func testAwaitReturnsAtOnceWhatCannotChange(t *testing.T, on subject) {
	s, _ := on.open(t)
	Put(t, s, Record())
	WantAwaited(t, Await(t.Context(), t, s, Record(), nil), Record())
	other := Record(func(r *jobrun.Record) { r.Job = "other" })
	if got := <-Await(t.Context(), t, s, other, nil); !errors.Is(got.Err, jobrun.ErrNotFound) {
		t.Errorf("no such run: %v, want ErrNotFound", got.Err)
	}
}

func testAwaitEnds(t *testing.T, on subject) {
	var following atomic.Int32 // how many watches there are
	follow := on.engine.Follow
	on.engine.Follow = func(ctx context.Context, db *sql.DB, w *store.Watch) error {
		following.Add(1)
		defer following.Add(-1)
		return follow(ctx, db, w)
	}
	s, _ := on.open(t)
	Put(t, s, Running())
	enough := make(chan struct{})
	done := Await(t.Context(), t, s, Running(), enough)
	close(enough)
	WantAwaited(t, done, Running())

	ctx, leave := context.WithCancel(t.Context())
	done = Await(ctx, t, s, Running(), nil)
	leave()
	if got := <-done; !errors.Is(got.Err, context.Canceled) {
		t.Errorf("after leaving: %v", got.Err)
	}
	if n := s.Waiting(); n != 0 {
		t.Errorf("%d wait after all have left", n)
	}
	for following.Load() > 0 { // nobody waits, so the watch ends
		time.Sleep(time.Millisecond)
	}
}

// testManyAwait has many callers wait, several for each run, while others come and leave.
func testManyAwait(t *testing.T, on subject) {
	const runs = 20
	s, url := on.open(t)
	id := func(i int) func(*jobrun.Record) {
		return func(r *jobrun.Record) { r.Run.ID = fmt.Sprint("run", i) }
	}
	for i := range runs {
		Put(t, s, Running(id(i)))
	}
	var all sync.WaitGroup
	for i := range 4 * runs {
		all.Go(func() {
			run, err := s.Await(t.Context(), Running(id(i%runs)).Key(), nil)
			if err != nil || !run.Concluded {
				t.Errorf("%+v, %v", run, err)
			}
		})
		all.Go(func() {
			enough := make(chan struct{})
			close(enough)
			if _, err := s.Await(t.Context(), Running(id(i%runs)).Key(), enough); err != nil {
				t.Error(err)
			}
		})
	}
	other := on.reopen(t, url)
	for i := range runs {
		Put(t, other, Record(id(i)))
	}
	all.Wait()
}
