package storetest

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func withID(id string) func(*jobrun.Record) {
	return func(r *jobrun.Record) { r.Run.ID = id }
}

func concluding(at time.Time) func(*jobrun.Record) {
	return func(r *jobrun.Record) { r.Run.ConcludedAt = &at }
}

func wantPruned(t *testing.T, s *Store, before time.Time, want int) {
	t.Helper()
	if got, err := s.Prune(t.Context(), store.Pruning{Before: before}); err != nil || got != want {
		t.Errorf("pruned before %s: %d, %v; want %d", before, got, err, want)
	}
}

func ids(t *testing.T, s *Store) []string {
	t.Helper()
	rows, err := s.DB().Query("SELECT id FROM runs ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func testPruneRemovesWhatConcludedBefore(t *testing.T, on subject) {
	s, _ := on.open(t)
	wantPruned(t, s, time.Now(), 0)
	limit := concludedAt
	failed := func(r *jobrun.Record) {
		r.Run.Status, r.Run.Failed, r.Run.Succeeded = model.JobRunStatusFailed, model.FlagYes, model.FlagNo
	}
	for _, r := range []jobrun.Record{
		Record(withID("before"), concluding(limit.Add(-time.Second))),
		Record(withID("before-failed"), concluding(limit.Add(-time.Hour)), failed),
		Record(withID("before-of-a-team"), concluding(limit.Add(-time.Second)), func(r *jobrun.Record) { r.Team = "zzz" }),
		observed(1, Record(withID("before-observed"), concluding(limit.Add(-time.Second)))),
		Record(withID("then"), concluding(limit)),
		Record(withID("after"), concluding(limit.Add(time.Second))),
		Running(withID("running")),
		observed(1, Running(withID("running-observed"))),
	} {
		Put(t, s, r)
	}
	wantPruned(t, s, limit, 3)
	want := []string{"after", "before-failed", "running", "running-observed", "then"} // the latest failure stays
	if got := ids(t, s); !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
	wantPruned(t, s, limit, 0)
	wantPruned(t, s, time.Now().Add(time.Hour), 1)
	if got := ids(t, s); !slices.Equal(got, want[:4]) { // and the latest success
		t.Errorf("left: %q, want %q", got, want[:4])
	}
}

// old yields runs that concluded one second after another.
func old(runs int) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) {
		for i := range runs {
			at := concludedAt.Add(time.Duration(i) * time.Second)
			r := Record(withID(fmt.Sprintf("%d-run", i*7919%runs)), concluding(at))
			r.Run.StartedAt = at.Add(-time.Second)
			if !yield(r, nil) {
				return
			}
		}
	}
}

func testPruneManyPages(t *testing.T, on subject) {
	for _, runs := range []int{store.PageSize, 2*store.PageSize + 1} {
		s, _ := on.open(t)
		if err := s.ImportRuns(t.Context(), old(runs)); err != nil {
			t.Fatal(err)
		}
		wantPruned(t, s, concludedAt.Add(100*time.Second), 100)
		wantPruned(t, s, concludedAt.Add(time.Duration(runs-1)*time.Second), runs-101)
		if n := count(t, s); n != 1 {
			t.Errorf("%d runs are left of %d, want 1", n, runs)
		}
	}
}

// testManyPrune has several processes delete runs while others write them again, and a caller
// waits.
func testManyPrune(t *testing.T, on subject) {
	const runs, rounds, again = 2000, 10, 20
	s, url := on.open(t)
	if err := s.ImportRuns(t.Context(), old(runs)); err != nil {
		t.Fatal(err)
	}
	Put(t, s, Running(withID("awaited")))
	done := Await(t.Context(), t, s, Running(withID("awaited")), nil)
	now := time.Now().UTC().Truncate(time.Second)
	var all sync.WaitGroup
	for i := range 3 {
		pruner, writer := on.reopen(t, url), on.reopen(t, url)
		all.Go(func() {
			if _, err := pruner.Prune(t.Context(), store.Pruning{Before: now.Add(-time.Hour)}); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			for j := range rounds {
				some := []jobrun.Record{Running(withID(fmt.Sprint(i, "-", j)))}
				for k := range again { // runs that the others delete
					some = append(some, Record(withID(fmt.Sprint(j*again+k, "-run")), concluding(now)))
				}
				if err := writer.PutRuns(t.Context(), some); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := s.Prune(t.Context(), store.Pruning{Before: now}); err != nil {
		t.Error(err)
	}
	// The latest success stays, unless it was written again.
	if n, want := count(t, s), 1+3*rounds+rounds*again; n != want && n != want+1 {
		t.Errorf("%d runs are left, want %d or one more", n, want)
	}
	Put(t, s, Record(withID("awaited"), concluding(now)))
	WantAwaited(t, done, Record(withID("awaited"), concluding(now)))
}

// testAwaitARunThatIsPruned concludes a run and deletes it in one transaction, while a caller
// waits.
func testAwaitARunThatIsPruned(t *testing.T, on subject) {
	s, url := on.open(t)
	Put(t, s, Running())
	done := Await(t.Context(), t, s, Running(), nil)
	tx, err := on.reopen(t, url).DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"UPDATE runs SET concluded = 1, concluded_at = 0", "DELETE FROM runs"} {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; !errors.Is(got.Err, jobrun.ErrNotFound) {
		t.Errorf("%+v, %v; want ErrNotFound", got.Run, got.Err)
	}
}
