package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	// tickInterval is how often a server counts that it listens, and looks for lost runs.
	tickInterval = 5 * time.Second
	// maxTick bounds what one tick counts: a server that was stopped, or without a database, heard
	// nobody.
	maxTick = 15 * time.Second
	// sweepLimit bounds how many lost runs one tick concludes.
	sweepLimit = 1000
)

// listened is the count of the table listening, as this server last read it.
type listened struct {
	mu    sync.Mutex
	count int64     // in milliseconds
	since time.Time // when the count was read; zero before the first time
}

// now returns the count with the time since it was read. It may be too large by what another server
// has counted, never too small: a run is not lost too early.
func (l *listened) now() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count + min(time.Since(l.since), maxTick).Milliseconds()
}

// begin calls count unless the count has been read.
func (l *listened) begin(count func() error) error {
	l.mu.Lock()
	known := !l.since.IsZero()
	l.mu.Unlock()
	if known {
		return nil
	}
	return count()
}

// Listen counts the time during which servers listen for reports, and concludes the runs whose
// recorders have not reported in time, until the context ends. A server calls it from when it
// listens until it drains. Any number of servers may do so on one database.
//
// The count does not grow while no server or no database works, and does not depend on the time of
// day. So neither downtime nor a changed clock makes a run lost.
func (s *Store) Listen(ctx context.Context, log *slog.Logger) {
	ticks := time.NewTicker(tickInterval)
	defer ticks.Stop()
	for {
		if err := s.tick(ctx, log); err != nil && ctx.Err() == nil {
			log.Warn("lost runs cannot be found now", "error", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) tick(ctx context.Context, log *slog.Logger) error {
	limited, cancel := limit(ctx)
	defer cancel()
	if err := s.count(limited); err != nil {
		return s.classify(limited, err)
	}
	return s.sweep(ctx, log)
}

// count adds the time since the last count, unless another server has counted since. It counts only
// while a run has a heartbeat timeout.
func (s *Store) count(ctx context.Context) error {
	table := s.engine.table("listening")
	s.listened.mu.Lock()
	last, since := s.listened.count, s.listened.since
	s.listened.mu.Unlock()
	if !since.IsZero() {
		_, err := s.db.ExecContext(ctx, "UPDATE "+table+" SET ms = ms + $1 WHERE ms = $2 AND EXISTS (SELECT 1 FROM "+
			s.engine.table("runs")+" WHERE concluded = 0 AND lost_at IS NOT NULL)",
			min(time.Since(since), maxTick).Milliseconds(), last)
		if err != nil {
			return err
		}
	}
	var count, oldest int64
	if err := s.db.QueryRowContext(ctx, "SELECT ms, oldest_writer FROM "+table+", "+s.engine.table("schema_support")).
		Scan(&count, &oldest); err != nil {
		return err
	}
	s.listened.mu.Lock()
	s.listened.count, s.listened.since = count, time.Now()
	s.listened.mu.Unlock()
	if err := checkWriter(oldest, s.engine.Schema); err != nil {
		s.outdated.Store(&err)
		return errors.Join(err, s.Close())
	}
	return nil
}

// sweep concludes the runs that are lost. Several servers conclude a run once, because the writer
// looks at it again.
func (s *Store) sweep(ctx context.Context, log *slog.Logger) error {
	keys, err := s.lost(ctx)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, len(keys))
	for i, key := range keys {
		all.Go(func() {
			concluded := false
			errs[i] = s.write(ctx, &write{key: key, done: make(chan error, 1), change: func(r *row, isNew bool) error {
				concluded = !isNew && !r.Run.Concluded && r.lostAt.Valid && r.lostAt.V <= s.listened.count
				if !concluded {
					return jobrun.ErrNotFound
				}
				r.concludeLost()
				return nil
			}})
			if errors.Is(errs[i], jobrun.ErrNotFound) { // the run was heard, concluded or removed
				errs[i] = nil
			} else if concluded && errs[i] == nil {
				log.Info("a run is lost", "team", key.Team, "project", key.Project, "job", key.Job, "run", key.Run)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// lost returns the keys of runs that are lost.
func (s *Store) lost(ctx context.Context) (keys []jobrun.Key, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE concluded = 0 AND lost_at <= $1 "+
		"ORDER BY lost_at LIMIT %d", keyColumns, s.engine.table("runs"), sweepLimit), s.listened.count)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var key jobrun.Key
		if err := rows.Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
			return nil, s.classify(ctx, err)
		}
		keys = append(keys, key)
	}
	return keys, s.classify(ctx, rows.Err())
}

// concludeLost concludes a run whose recorder has not reported in time, at its last report.
func (r *row) concludeLost() {
	heard := time.Unix(r.heardAt.V, 0).UTC()
	r.Conclude(heard, false, jobrun.End{
		Reason:  jobrun.ReasonRecorderLost,
		Message: "its recorder last reported at " + heard.Format(time.RFC3339),
	})
}
