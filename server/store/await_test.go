package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
)

// running returns a record of a run that has not concluded, with the changes.
func running(change ...func(*server.Record)) server.Record {
	return record(append([]func(*server.Record){func(r *server.Record) {
		r.Run = model.JobRun{ID: r.Run.ID, Active: model.Yes, RunName: r.Run.RunName, Status: model.Running, StartedAt: started}
	}}, change...)...)
}

func put(t *testing.T, s *Store, r server.Record) {
	t.Helper()
	if err := s.PutRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// awaited is what came of a wait.
type awaited struct {
	run *model.JobRun
	err error
}

// await begins to wait, and returns when the store knows of it.
func await(ctx context.Context, t *testing.T, s *Store, r server.Record, enough <-chan struct{}) <-chan awaited {
	t.Helper()
	done := make(chan awaited, 1)
	before := s.waiters()
	go func() {
		run, err := s.Await(ctx, key(r), enough)
		done <- awaited{run, err}
	}()
	for s.waiters() == before && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	return done
}

func (s *Store) waiters() int {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	n := 0
	for _, w := range s.watcher.waiting {
		n += len(w)
	}
	return n
}

func wantAwaited(t *testing.T, done <-chan awaited, want server.Record) {
	t.Helper()
	got := <-done
	if diff := cmp.Diff(&want.Run, got.run); got.err != nil || diff != "" {
		t.Errorf("%v, run (-want +got):\n%s", got.err, diff)
	}
}

func TestAwaitTellsOfAConclusionByAnotherProcess(t *testing.T) {
	for name, conclude := range map[string]func(*testing.T, *Store){
		"recorded": func(t *testing.T, s *Store) { put(t, s, record()) },
		"imported": func(t *testing.T, s *Store) {
			err := s.ImportRuns(t.Context(), func(yield func(server.Record, error) bool) { yield(record(), nil) })
			if err != nil {
				t.Fatal(err)
			}
		},
		"in plain SQL": func(t *testing.T, s *Store) {
			_, err := s.db.Exec(`UPDATE runs SET concluded = 1, concluded_at = $1, status = 'SUCCESS', active = 0, succeeded = 1,
				completions = 1`, record().Run.ConcludedAt.Unix())
			if err != nil {
				t.Fatal(err)
			}
		},
		// As when more have concluded at once than are kept: those who wait have to look for themselves.
		"with a note that is gone": func(t *testing.T, s *Store) {
			other := func(r *server.Record) { r.Job = "other" }
			put(t, s, running(other))
			tx, err := s.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range []server.Record{record(), record(other)} {
				if _, err := tx.Exec("INSERT INTO runs ("+runColumns+")"+runValues+replaceRun, values(r, lease{})...); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tx.Exec("DELETE FROM conclusions WHERE job <> 'other'"); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := open(t)
			put(t, s, running())
			done := await(t.Context(), t, s, running(), nil)
			conclude(t, reopen(t, url))
			wantAwaited(t, done, record())
		})
	}
}

func TestAwaitReturnsAtOnceWhatCannotChange(t *testing.T) {
	s, _ := open(t)
	put(t, s, record())
	wantAwaited(t, await(t.Context(), t, s, record(), nil), record())
	if got := <-await(t.Context(), t, s, record(func(r *server.Record) { r.Job = "other" }), nil); !errors.Is(got.err, server.ErrNotFound) {
		t.Errorf("no such run: %v, want ErrNotFound", got.err)
	}
}

func TestAwaitEnds(t *testing.T) {
	s, _ := open(t)
	put(t, s, running())
	enough := make(chan struct{})
	done := await(t.Context(), t, s, running(), enough)
	close(enough)
	wantAwaited(t, done, running())

	ctx, leave := context.WithCancel(t.Context())
	done = await(ctx, t, s, running(), nil)
	leave()
	if got := <-done; !errors.Is(got.err, context.Canceled) {
		t.Errorf("after leaving: %v", got.err)
	}

	done = await(t.Context(), t, s, running(), nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; !errors.Is(got.err, server.ErrUnavailable) {
		t.Errorf("after the store was closed: %v, want ErrUnavailable", got.err)
	}
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	if s.watcher.watch != nil || len(s.watcher.waiting) != 0 {
		t.Errorf("nobody waits, and yet %d runs are watched", len(s.watcher.waiting))
	}
}

// TestManyAwait has many wait, several for each run, while others come and go.
func TestManyAwait(t *testing.T) {
	const runs = 50
	s, url := open(t)
	id := func(i int) func(*server.Record) {
		return func(r *server.Record) { r.Run.ID = fmt.Sprint("run", i) }
	}
	for i := range runs {
		put(t, s, running(id(i)))
	}
	var all sync.WaitGroup
	for i := range 4 * runs {
		all.Go(func() {
			run, err := s.Await(t.Context(), key(running(id(i%runs))), nil)
			if err != nil || !run.Concluded {
				t.Errorf("%+v, %v", run, err)
			}
		})
		all.Go(func() {
			enough := make(chan struct{})
			close(enough)
			if _, err := s.Await(t.Context(), key(running(id(i%runs))), enough); err != nil {
				t.Error(err)
			}
		})
	}
	other := reopen(t, url)
	for i := range runs {
		put(t, other, record(id(i)))
	}
	all.Wait()
}

// fakeClock is a steady clock that a test moves.
type fakeClock struct{ milliseconds atomic.Int64 }

func (c *fakeClock) steady(boot string) steady {
	return steady{boot: boot, now: func() (time.Duration, error) {
		return time.Duration(c.milliseconds.Load()) * time.Millisecond, nil
	}}
}

func leased(r server.Record) server.Record {
	r.Leased = true
	return r
}

func TestLease(t *testing.T) {
	var clock fakeClock
	s, url := open(t)
	s.clock = clock.steady("this boot")
	wantStatus := func(s *Store, want model.JobRunStatus) {
		t.Helper()
		run, err := s.Run(t.Context(), key(running()))
		if err != nil || run.Status != want || run.Concluded != (want != model.Running) {
			t.Errorf("%+v, %v; want %s", run, err, want)
		}
	}
	before := time.Now().Truncate(time.Second)
	put(t, s, leased(running()))
	clock.milliseconds.Add(20_000)
	wantStatus(s, model.Running)
	clock.milliseconds.Add(1)
	wantStatus(s, model.Failed)

	run, err := s.Run(t.Context(), key(running()))
	if err != nil {
		t.Fatal(err)
	}
	if at := run.ConcludedAt; at == nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("concluded at %v, want the time of the last renewal, after %s", at, before)
	}
	want := &model.JobRun{ID: run.ID, RunName: run.RunName, Concluded: true, Failed: model.Yes, Status: model.Failed,
		StartedAt: started, ConcludedAt: run.ConcludedAt}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}

	// A recorder that was only slow.
	put(t, s, leased(running()))
	wantStatus(s, model.Running)
	clock.milliseconds.Add(1_000_000)
	put(t, s, leased(record()))
	wantStatus(s, model.Success)

	// The machine was started anew: the recorder is dead for certain.
	put(t, s, leased(running()))
	restarted := reopen(t, url)
	restarted.clock = (&fakeClock{}).steady("the next boot")
	wantStatus(restarted, model.Failed)

	// Nobody vouches for what is imported.
	err = s.ImportRuns(t.Context(), func(yield func(server.Record, error) bool) { yield(running(), nil) })
	if err != nil {
		t.Fatal(err)
	}
	clock.milliseconds.Add(1_000_000)
	wantStatus(s, model.Running)
}

func TestAwaitTellsOfADeadRecorder(t *testing.T) {
	var clock fakeClock
	s, _ := open(t)
	s.clock = clock.steady("this boot")
	put(t, s, leased(running()))
	done := await(t.Context(), t, s, running(), nil)
	clock.milliseconds.Add(25_000)
	if got := <-done; got.err != nil || got.run.Status != model.Failed {
		t.Errorf("%+v, %v", got.run, got.err)
	}
}

// TestMachineClock checks that the real clock runs, and is the same for all stores of the machine.
func TestMachineClock(t *testing.T) {
	one, err := newSteady()
	if err != nil {
		t.Fatal(err)
	}
	two, err := newSteady()
	if err != nil || one.boot != two.boot || one.boot == "" {
		t.Fatalf("%v, boots %q and %q", err, one.boot, two.boot)
	}
	first, err := one.now()
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.now()
	if err != nil || second <= first {
		t.Errorf("%v, %s and then %s", err, first, second)
	}
}
