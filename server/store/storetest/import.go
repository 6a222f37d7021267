package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
)

// sequence yields n runs, and then the error unless it is nil.
func sequence(n int, err error) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) {
		for i := range n {
			if !yield(Record(func(r *jobrun.Record) { r.Run.ID = fmt.Sprint("run", i) }), nil) {
				return
			}
		}
		if err != nil {
			yield(jobrun.Record{}, err)
		}
	}
}

// one yields a record.
func one(r jobrun.Record) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) { yield(r, nil) }
}

func count(t *testing.T, s *Store) int {
	t.Helper()
	var n int
	if err := s.DB().QueryRow("SELECT count(*) FROM runs").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func testImportRuns(t *testing.T, on subject) {
	s, _ := on.open(t)
	if err := s.ImportRuns(t.Context(), sequence(1000, nil)); err != nil {
		t.Fatal(err)
	}
	if err := s.ImportRuns(t.Context(), sequence(500, nil)); err != nil {
		t.Fatal("a second time: ", err)
	}
	if n := count(t, s); n != 1000 {
		t.Errorf("%d runs, want 1000", n)
	}
	WantRun(t, s, Record(func(r *jobrun.Record) { r.Run.ID = "run999" }))
}

func testImportRunsTheLastOfAnIDWins(t *testing.T, on subject) {
	s, _ := on.open(t)
	want := Record(func(r *jobrun.Record) { r.Run.Completions = 5 })
	err := s.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) {
		_ = yield(Record(), nil) && yield(want, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	WantRun(t, s, want)
}

func testImportRunsAllOrNothing(t *testing.T, on subject) {
	broken := errors.New("line 7 is broken")
	stopped, stop := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		ctx     context.Context
		records iter.Seq2[jobrun.Record, error]
		want    error
	}{
		"an error at the end": {t.Context(), sequence(1000, broken), broken},
		"a run outside the contract": {t.Context(), func(yield func(jobrun.Record, error) bool) {
			_ = yield(Record(), nil) && yield(Record(func(r *jobrun.Record) { r.Run.ID = "b"; r.Run.Status = "" }), nil)
		}, nil},
		"a context that ends": {stopped, func(yield func(jobrun.Record, error) bool) {
			if yield(Record(), nil) {
				stop()
				yield(Record(), nil)
			}
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := on.open(t)
			err := s.ImportRuns(test.ctx, test.records)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if n := count(t, s); n != 0 {
				t.Errorf("%d runs are stored", n)
			}
			if err := s.PutRun(t.Context(), Record()); err != nil {
				t.Errorf("the store cannot be written afterwards: %v", err)
			}
		})
	}
}

func testOthersWriteDuringAnImport(t *testing.T, on subject) {
	s, url := on.open(t)
	other := on.reopen(t, url)
	meanwhile := Record(func(r *jobrun.Record) { r.Job = "meanwhile" })
	err := s.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) {
		if !yield(Record(), nil) {
			return
		}
		if err := other.PutRun(t.Context(), meanwhile); err != nil {
			t.Error(err)
		}
		yield(Record(func(r *jobrun.Record) { r.Run.ID = "b" }), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	WantRun(t, s, meanwhile)
	if n := count(t, s); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
}

func testManyImportTheSameRuns(t *testing.T, on subject) {
	s, url := on.open(t)
	var all sync.WaitGroup
	for _, importer := range []*Store{s, on.reopen(t, url)} {
		all.Go(func() {
			for range 5 {
				if err := importer.ImportRuns(t.Context(), sequence(1000, nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := count(t, s); n != 1000 {
		t.Errorf("%d runs, want 1000", n)
	}
}
