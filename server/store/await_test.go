package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// running returns a record of a run that has not concluded, with the changes.
func running(change ...func(*jobrun.Record)) jobrun.Record {
	return record(append([]func(*jobrun.Record){func(r *jobrun.Record) {
		r.Run = model.JobRun{ID: r.Run.ID, Active: model.FlagYes, RunName: r.Run.RunName, Status: model.JobRunStatusRunning, StartedAt: started}
	}}, change...)...)
}

func put(t *testing.T, s *store.Store, r jobrun.Record) {
	t.Helper()
	if err := s.PutRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// concludeAll concludes all runs as record's is, in plain SQL.
const concludeAll = `UPDATE runs SET concluded = 1, concluded_at = $1, status = 'SUCCESS', active = 0, succeeded = 1, completions = 1`

// awaited is what came of a wait.
type awaited struct {
	run *model.JobRun
	err error
}

// await begins to wait, and returns when the store knows of it.
func await(ctx context.Context, t *testing.T, s *store.Store, r jobrun.Record, enough <-chan struct{}) <-chan awaited {
	t.Helper()
	done := make(chan awaited, 1)
	before := waiters(s)
	go func() {
		run, err := s.Await(ctx, r.Key(), enough)
		done <- awaited{run, err}
	}()
	for waiters(s) == before && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	return done
}

func waiters(s *store.Store) int {
	n, _ := s.Waiting()
	return n
}

func wantAwaited(t *testing.T, done <-chan awaited, want jobrun.Record) {
	t.Helper()
	got := <-done
	if diff := cmp.Diff(&want.Run, got.run); got.err != nil || diff != "" {
		t.Errorf("%v, run (-want +got):\n%s", got.err, diff)
	}
}

func testAwaitTellsOfAConclusionByAnotherProcess(t *testing.T, on engineUnderTest) {
	for name, conclude := range map[string]func(*testing.T, *store.Store){
		"recorded": func(t *testing.T, s *store.Store) { put(t, s, record()) },
		"imported": func(t *testing.T, s *store.Store) {
			err := s.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) { yield(record(), nil) })
			if err != nil {
				t.Fatal(err)
			}
		},
		"in plain SQL": func(t *testing.T, s *store.Store) {
			if _, err := s.DB().Exec(concludeAll, record().Run.ConcludedAt.Unix()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := on.open(t)
			put(t, s, running())
			done := await(t.Context(), t, s, running(), nil)
			conclude(t, reopen(t, url))
			wantAwaited(t, done, record())
		})
	}
}

// TestAwaitWithANoteThatIsGone is about what happens when more have concluded at once than are kept: those who wait have
// to look for themselves.
func TestAwaitWithANoteThatIsGone(t *testing.T) {
	other := func(r *jobrun.Record) { r.Job = "other" }
	s, url := sqliteUnderTest.open(t)
	put(t, s, running())
	put(t, s, running(other))
	done := await(t.Context(), t, s, running(), nil)
	tx, err := reopen(t, url).DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(concludeAll, record().Run.ConcludedAt.Unix()); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DELETE FROM conclusions WHERE job <> 'other'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	wantAwaited(t, done, record())
}

func testAwaitReturnsAtOnceWhatCannotChange(t *testing.T, on engineUnderTest) {
	s, _ := on.open(t)
	put(t, s, record())
	wantAwaited(t, await(t.Context(), t, s, record(), nil), record())
	if got := <-await(t.Context(), t, s, record(func(r *jobrun.Record) { r.Job = "other" }), nil); !errors.Is(got.err, jobrun.ErrNotFound) {
		t.Errorf("no such run: %v, want ErrNotFound", got.err)
	}
}

func testAwaitEnds(t *testing.T, on engineUnderTest) {
	s, _ := on.open(t)
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
	if got := <-done; !errors.Is(got.err, jobrun.ErrUnavailable) {
		t.Errorf("after the store was closed: %v, want ErrUnavailable", got.err)
	}
	if n, watched := s.Waiting(); n != 0 || watched {
		t.Errorf("nobody waits, and yet %d do, or there is a watch: %t", n, watched)
	}
}

// testManyAwait has many wait, several for each run, while others come and go.
func testManyAwait(t *testing.T, on engineUnderTest) {
	const runs = 50
	s, url := on.open(t)
	id := func(i int) func(*jobrun.Record) {
		return func(r *jobrun.Record) { r.Run.ID = fmt.Sprint("run", i) }
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

// age makes the leases of all runs older.
func age(t *testing.T, s *store.Store, by time.Duration) {
	t.Helper()
	if _, err := s.DB().Exec("UPDATE runs SET lease_renewed = lease_renewed - $1", by.Milliseconds()); err != nil {
		t.Fatal(err)
	}
}

func leased(r jobrun.Record) jobrun.Record {
	r.Leased = true
	return r
}

func testLease(t *testing.T, on engineUnderTest) {
	s, _ := on.open(t)
	wantStatus := func(want model.JobRunStatus) {
		t.Helper()
		run, _, err := s.Run(t.Context(), key(running()))
		if err != nil || run.Status != want || run.Concluded != (want != model.JobRunStatusRunning) {
			t.Errorf("%+v, %v; want %s", run, err, want)
		}
	}
	before := time.Now().Truncate(time.Second).Add(-2 * store.LeaseTime)
	put(t, s, leased(running()))
	age(t, s, store.LeaseTime/2)
	wantStatus(model.JobRunStatusRunning)
	age(t, s, store.LeaseTime)
	wantStatus(model.JobRunStatusFailed)

	run, _, err := s.Run(t.Context(), key(running()))
	if err != nil {
		t.Fatal(err)
	}
	if at := run.ConcludedAt; at == nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("concluded at %v, want the time of the last renewal, after %s", at, before)
	}
	want := &model.JobRun{ID: run.ID, RunName: run.RunName, Concluded: true, Failed: model.FlagYes, Status: model.JobRunStatusFailed,
		StartedAt: started, ConcludedAt: run.ConcludedAt}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}

	// A recorder that was only slow.
	put(t, s, leased(running()))
	wantStatus(model.JobRunStatusRunning)
	age(t, s, time.Hour)
	put(t, s, leased(record()))
	wantStatus(model.JobRunStatusSuccess)

	// Nobody vouches for what is imported.
	put(t, s, leased(running()))
	err = s.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) { yield(running(), nil) })
	if err != nil {
		t.Fatal(err)
	}
	age(t, s, time.Hour)
	wantStatus(model.JobRunStatusRunning)
}

// TestLeaseOfAnEarlierBoot has a recorder that is dead for certain.
func TestLeaseOfAnEarlierBoot(t *testing.T) {
	s, _ := sqliteUnderTest.open(t)
	put(t, s, leased(running()))
	if _, err := s.DB().Exec("UPDATE runs SET lease_boot = 'an earlier one'"); err != nil {
		t.Fatal(err)
	}
	if run, _, err := s.Run(t.Context(), key(running())); err != nil || run.Status != model.JobRunStatusFailed {
		t.Errorf("%+v, %v", run, err)
	}
}

func testAwaitTellsOfADeadRecorder(t *testing.T, on engineUnderTest) {
	s, _ := on.open(t)
	put(t, s, leased(running()))
	age(t, s, store.LeaseTime-2*time.Second)
	done := await(t.Context(), t, s, running(), nil)
	if got := <-done; got.err != nil || got.run.Status != model.JobRunStatusFailed {
		t.Errorf("%+v, %v", got.run, got.err)
	}
}

// TestMachineClock checks that the real clock runs, and that of one boot is told from that of another.
func TestMachineClock(t *testing.T) {
	boot, err := store.BootID()
	if err != nil || boot == "" {
		t.Fatalf("%v, boot %q", err, boot)
	}
	first, err := store.SteadyClock()
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.SteadyClock()
	if err != nil || second <= first {
		t.Errorf("%v, %s and then %s", err, first, second)
	}
}
