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
	// tickInterval is how often a server counts that it listens, and looks for lost runs. A run is lost
	// at most two intervals after its heartbeat timeout, because of reading.margin.
	tickInterval = 4 * time.Second
	// maxTick bounds what one tick counts: a server that was stopped, or without a database, heard
	// nobody.
	maxTick = 15 * time.Second
	// sweepLimit bounds how many lost runs one tick concludes.
	sweepLimit = 1000
)

// reading is the count of the table listening, in milliseconds, as this server has read it.
type reading struct {
	count int64
	since time.Time // when it was read
	// margin bounds what other servers may still count for the time before.
	margin time.Duration
}

// now returns the present count. It may be too large, never too small: a run is not lost too early.
func (r *reading) now() int64 {
	return r.count + (r.margin + min(time.Since(r.since), maxTick)).Milliseconds()
}

// Listen counts the time during which servers listen for reports, and concludes the runs whose
// recorders have not reported in time, until the context ends or the store must no longer be used.
// A server calls it from when it listens until it drains. Any number of servers may do so on one
// database.
//
// The count does not grow while no server or no database works, and does not depend on the time of
// day. So neither downtime nor a changed clock makes a run lost.
func (s *Store) Listen(ctx context.Context, log *slog.Logger) {
	var build sync.WaitGroup
	defer build.Wait()
	if s.engine.Build != nil {
		build.Go(func() {
			if err := s.engine.Build(ctx, s.db, s.engine.tables); err != nil && ctx.Err() == nil {
				log.Error("an index cannot be built; start the server again to try it again", "error", err)
			}
		})
	}
	ticks := time.NewTicker(tickInterval)
	defer ticks.Stop()
	for {
		err := s.Tick(ctx, log)
		if errors.Is(err, jobrun.ErrOutdated) {
			log.Error("this server must no longer use the store", "error", err)
			return
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("lost runs cannot be found now", "error", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// Tick does once what Listen does every few seconds: it counts the time since the last call, and
// concludes the runs that are lost.
func (s *Store) Tick(ctx context.Context, log *slog.Logger) error {
	listened, err := s.count(ctx)
	if err != nil {
		return err
	}
	return s.sweep(ctx, log, listened.count)
}

// count adds the time since the last reading, unless another server has counted since, and reads
// the count. It counts only while a run has a heartbeat timeout. After an error, the time does not
// count: without a database, a server hears nobody.
func (s *Store) count(ctx context.Context) (*reading, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	next, err := s.nextReading(ctx, s.listened.Load())
	s.listened.Store(next)
	return next, s.classify(ctx, err)
}

func (s *Store) nextReading(ctx context.Context, last *reading) (*reading, error) {
	table := s.engine.table("listening")
	next := &reading{margin: tickInterval}
	if last != nil {
		result, err := s.db.ExecContext(ctx, "UPDATE "+table+" SET ms = ms + $1 WHERE ms = $2 AND EXISTS (SELECT 1 FROM "+
			s.engine.table("runs")+" WHERE concluded = 0 AND lost_at IS NOT NULL)",
			min(time.Since(last.since), maxTick).Milliseconds(), last.count)
		if err != nil {
			return nil, err
		}
		if n, err := result.RowsAffected(); err == nil && n > 0 {
			next.margin = 0 // the others have an older reading, with which they cannot count
		}
	}
	var oldest int64
	if err := s.db.QueryRowContext(ctx, "SELECT ms, oldest_writer FROM "+table+", "+s.engine.table("schema_support")).
		Scan(&next.count, &oldest); err != nil {
		return nil, err
	}
	next.since = time.Now()
	if err := checkWriter(oldest, s.engine.Schema); err != nil {
		s.outdated.Store(&err)
		return nil, errors.Join(err, s.Close())
	}
	return next, nil
}

// sweep concludes the runs that are lost. Several servers conclude a run once, because the writer
// looks at it again.
func (s *Store) sweep(ctx context.Context, log *slog.Logger, count int64) error {
	keys, err := s.lost(ctx, count)
	if err != nil {
		return err
	}
	writes := make([]*write, len(keys))
	for i, key := range keys {
		writes[i] = &write{key: key, done: make(chan error, 1), change: func(r *row, isNew bool) error {
			if isNew || r.Run.Concluded || !r.lostAt.Valid || r.lostAt.V > count {
				return jobrun.ErrNotFound // the run was heard, concluded or removed
			}
			r.concludeLost()
			return nil
		}}
	}
	errs := s.writeAll(ctx, writes)
	for i, key := range keys {
		if errs[i] == nil {
			log.Info("a run is lost", "team", key.Team, "project", key.Project, "job", key.Job, "run", key.Run)
		} else if errors.Is(errs[i], jobrun.ErrNotFound) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// lost returns the keys of runs that are lost.
func (s *Store) lost(ctx context.Context, count int64) (keys []jobrun.Key, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE concluded = 0 AND lost_at <= $1 "+
		"ORDER BY lost_at LIMIT %d", keyColumns, s.engine.table("runs"), sweepLimit), count)
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
