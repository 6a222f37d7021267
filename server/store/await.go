package store

import (
	"context"
	"sync"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// watcher knows who waits for which run. While somebody waits, one watch looks for conclusions on
// behalf of all.
type watcher struct {
	mu      sync.Mutex
	waiting map[jobrun.Key]map[*waiter]struct{}
	watch   *Watch // nil while nobody waits
}

// waiter receives its run's conclusion, or nil: it has to read the run. Until it has received one,
// it is not sent another.
type waiter struct {
	told chan *model.JobRun
}

// Await waits until the run of that key has concluded, or the channel enough is closed, and returns
// the run as it is then. A run that has concluded already is returned at once. enough may be nil.
// Returns jobrun.ErrNotFound if there is no such run, or if it is deleted meanwhile.
func (s *Store) Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error) {
	w := &waiter{told: make(chan *model.JobRun, 1)}
	watch := s.wait(key, w)
	defer s.forget(key, w)
	select {
	case <-watch.begun:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		// The watch has begun: a conclusion before this query is read here, and the watch tells of
		// a later one.
		run, err := s.Run(ctx, key)
		if err != nil || run.Concluded {
			return run, err
		}
		select {
		case concluded := <-w.told:
			if concluded != nil {
				return concluded, nil
			}
		case <-enough:
			return run, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Waiting returns how many calls of Await have not returned yet.
func (s *Store) Waiting() int {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	n := 0
	for _, waiters := range s.watcher.waiting {
		n += len(waiters)
	}
	return n
}

// wait adds a waiter, and returns the watch that tells it.
func (s *Store) wait(key jobrun.Key, w *waiter) *Watch {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	if s.watcher.watch == nil {
		ctx, cancel := context.WithCancel(s.open)
		s.watcher.watch = &Watch{store: s, begun: make(chan struct{}), cancel: cancel}
		go s.watcher.watch.run(ctx)
	}
	if s.watcher.waiting[key] == nil {
		s.watcher.waiting[key] = map[*waiter]struct{}{}
	}
	s.watcher.waiting[key][w] = struct{}{}
	return s.watcher.watch
}

// forget removes a waiter, and ends the watch with the last one.
func (s *Store) forget(key jobrun.Key, w *waiter) {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	delete(s.watcher.waiting[key], w)
	if len(s.watcher.waiting[key]) == 0 {
		delete(s.watcher.waiting, key)
	}
	if len(s.watcher.waiting) == 0 {
		s.watcher.watch.cancel()
		s.watcher.watch = nil
	}
}

// tell sends the run to those who wait for it; nil has them read it.
func (s *watcher) tell(key jobrun.Key, run *model.JobRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellAll(s.waiting[key], run)
}

// tellEveryone has all waiters read their runs.
func (s *watcher) tellEveryone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, waiters := range s.waiting {
		s.tellAll(waiters, nil)
	}
}

func (s *watcher) tellAll(waiters map[*waiter]struct{}, run *model.JobRun) {
	for w := range waiters {
		select {
		case w.told <- run:
		default: // told already, and has not received it yet
		}
	}
}
