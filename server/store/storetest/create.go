package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func testCreateRunReplacesNoOtherRun(t *testing.T, on subject) {
	s, _ := on.open(t)
	first := Record()
	if err := s.CreateRun(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other := Record(func(r *jobrun.Record) { r.Run.RunName = "other" })
	if err := s.CreateRun(t.Context(), other); !errors.Is(err, store.ErrExists) {
		t.Errorf("another run of that key: %v", err)
	}
	WantRun(t, s, first)
	again := Record(func(r *jobrun.Record) { r.Run.Completions = 3 })
	if err := s.CreateRun(t.Context(), again); err != nil {
		t.Errorf("the same run again: %v", err)
	}
	WantRun(t, s, again)
	elsewhere := Record(func(r *jobrun.Record) { r.Job, r.Run.RunName = "other-job", "other" })
	if err := s.CreateRun(t.Context(), elsewhere); err != nil {
		t.Errorf("a run of another job with that id: %v", err)
	}
	invalid := Record(func(r *jobrun.Record) { r.Run.ID = "a/b" })
	if err := s.CreateRun(t.Context(), invalid); !errors.Is(err, jobrun.ErrInvalid) {
		t.Errorf("a run that the contract does not allow: %v", err)
	}
}

func testCreateRunLetsOneOfManyHaveAnID(t *testing.T, on subject) {
	s, _ := on.open(t)
	var all sync.WaitGroup
	var created atomic.Int32
	for i := range 10 {
		all.Go(func() {
			err := s.CreateRun(t.Context(), Record(func(r *jobrun.Record) { r.Run.RunName = fmt.Sprint("name-", i) }))
			if err == nil {
				created.Add(1)
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if created.Load() != 1 {
		t.Errorf("%d created the run", created.Load())
	}
}
