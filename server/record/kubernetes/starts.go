package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// reader reads what was stored before.
type reader interface {
	// Run returns the run of that key. Returns jobrun.ErrNotFound if there is none.
	Run(ctx context.Context, key jobrun.Key) (*model.JobRun, error)
}

// starts remembers when Jobs began that were suspended later, because Kubernetes does not: the
// status has no startTime while a Job is suspended, and afterwards that of the last resumption
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job).
type starts struct {
	store reader
	log   *slog.Logger

	mu    sync.Mutex
	first map[string]time.Time // by the Job's uid; zero for one that has not begun
}

// keep returns the observed run, which began when its Job began first. The state before may be nil:
// then it is the store that knows, and is asked until it responds. Returns false if the context
// ended before.
func (s *starts) keep(ctx context.Context, before, now *observation) (record jobrun.Record, ok bool) {
	record = now.record
	if now.suspension == nil {
		return record, true // what the Job says is the first
	}
	s.mu.Lock()
	first, known := s.first[record.Run.ID]
	s.mu.Unlock()
	switch {
	case known:
	case before != nil && before.suspension == nil:
		first = before.began()
	default:
		failed, found := false, false
		again(ctx, func(ctx context.Context) bool {
			var err error
			if first, err = s.stored(ctx, now); err != nil && !failed && ctx.Err() == nil {
				failed = true
				s.log.Error("store does not say when a Job began, trying again", append(name(record), "error", err)...)
			}
			found = err == nil
			return found
		})
		if !found {
			return record, false
		}
	}
	if first.IsZero() {
		first = now.began()
	}
	s.mu.Lock()
	s.first[record.Run.ID] = first
	s.mu.Unlock()
	if !first.IsZero() {
		record.Run.StartedAt = first
	}
	return record, true
}

// stored returns when the Job began first, as far as the store knows, or the zero time.
func (s *starts) stored(ctx context.Context, now *observation) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	run, err := s.store.Run(ctx, now.record.Key())
	switch {
	case errors.Is(err, jobrun.ErrNotFound):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	// The run of a Job that has not begun is stored with the time of its creation. It may have begun
	// within that second and have been suspended later: not if it has been since its creation.
	suspended := now.suspension.since
	if run.StartedAt.Equal(now.suspension.created) && run.Active == model.FlagNo && run.Completions == 0 &&
		!run.Concluded && !suspended.IsZero() && !suspended.After(now.suspension.created.Add(time.Second)) {
		return time.Time{}, nil
	}
	return run.StartedAt, nil
}

// forget is for a Job that is gone.
func (s *starts) forget(record jobrun.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.first, record.Run.ID)
}
