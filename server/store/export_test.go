package store

import "database/sql"

// What tests look at from within.
const (
	LeaseTime = leaseTime
	Batch     = batch
	PrunePage = prunePage
)

var (
	BootID      = bootID
	SteadyClock = steadyClock
)

func (s *Store) DB() *sql.DB { return s.db }

// Waiting returns how many wait, and whether there is a watch on their behalf.
func (s *Store) Waiting() (waiters int, watched bool) {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	for _, w := range s.watcher.waiting {
		waiters += len(w)
	}
	return waiters, s.watcher.watch != nil
}
