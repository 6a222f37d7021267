package store

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/server"
)

// How often a watch looks for what others have written, and for leases that have run out.
const (
	watchInterval = 20 * time.Millisecond
	leaseInterval = time.Second
)

// watch looks for conclusions, with one query for all who wait, until it is cancelled.
type watch struct {
	store  *Store
	begun  chan struct{} // closed when nothing escapes it any more
	cancel context.CancelFunc
	seen   int64         // the latest conclusion that was told
	leases time.Duration // the steady time up to which leases have been looked at
}

// concludedRuns lists conclusions with their runs.
const concludedRuns = "SELECT c.seq, c.team, c.project, c.job, r.id, " + runFields + ", " + leaseFields + ` FROM conclusions c
	JOIN runs r ON r.team = c.team AND r.project = c.project AND r.job = c.job AND r.id = c.id
	WHERE c.seq > $1 ORDER BY c.seq`

// run tells of conclusions. While the store cannot be read, those who wait are told to look for themselves, and find
// out why.
func (w *watch) run(ctx context.Context) {
	begun := false
	for ctx.Err() == nil {
		err := w.begin(ctx)
		if begun {
			w.store.watcher.tellEveryone() // of what has escaped it meanwhile
		} else {
			begun = true
			close(w.begun)
		}
		if err == nil {
			err = w.look(ctx)
		}
		if err != nil {
			w.store.watcher.tellEveryone()
			pause(ctx, leaseInterval)
		}
	}
}

// begin finds out from where on to look.
func (w *watch) begin(ctx context.Context) (err error) {
	if w.leases, err = w.store.clock.now(); err != nil {
		return err
	}
	w.leases -= leaseTime
	return w.store.db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM conclusions").Scan(&w.seen)
}

// look looks again and again, until the context ends or something is in the way.
func (w *watch) look(ctx context.Context) error {
	statement, err := w.store.db.PrepareContext(ctx, concludedRuns)
	if err != nil {
		return err
	}
	defer statement.Close()
	for {
		pause(ctx, watchInterval)
		rows, err := statement.QueryContext(ctx, w.seen)
		if err != nil {
			return err
		}
		for rows.Next() {
			var seq int64
			var key server.RunKey
			run, _, err := scanRun(rows, &seq, &key.Team, &key.Project, &key.Job)
			if err != nil {
				rows.Close()
				return err
			}
			if seq > w.seen+1 {
				// Between the two, some have been written and removed, or their runs have.
				w.store.watcher.tellEveryone()
			}
			w.seen, key.Run = seq, run.ID
			if run.Concluded {
				w.store.watcher.tell(key, run)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if err := w.lookAtLeases(ctx); err != nil {
			return err
		}
	}
}

// lookAtLeases looks for leases that have run out since it last looked. Those of an earlier boot have run out before
// anybody could wait.
func (w *watch) lookAtLeases(ctx context.Context) error {
	now, err := w.store.clock.now()
	if err != nil || now-leaseTime < w.leases+leaseInterval {
		return err
	}
	before := now - leaseTime
	rows, err := w.store.db.QueryContext(ctx, `SELECT team, project, job, id FROM runs WHERE concluded = 0
		AND lease_boot IS NOT NULL AND lease_boot = $1 AND lease_renewed >= $2 AND lease_renewed < $3`,
		w.store.clock.boot, w.leases.Milliseconds(), before.Milliseconds())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key server.RunKey
		if err := rows.Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
			return err
		}
		w.store.watcher.tell(key, nil)
	}
	w.leases = before
	return rows.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
