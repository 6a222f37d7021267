package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// watchInterval is how often a watch asks SQLite what others have written: SQLite tells nobody by itself.
const watchInterval = 20 * time.Millisecond

// followSQLite reads what a trigger writes to the table conclusions.
func followSQLite(ctx context.Context, db *sql.DB, w *Watch) error {
	f := conclusions{db: db, watch: w}
	var err error
	if f.seen, err = f.latest(ctx); err != nil {
		return err
	}
	if err := w.Begin(ctx); err != nil {
		return err
	}
	query := "SELECT c.seq, c.team, c.project, c.job, r.id, " + runFields + ", " + sqliteLease.lapsedSince() + ` FROM conclusions c
		JOIN runs r ON r.team = c.team AND r.project = c.project AND r.job = c.job AND r.id = c.id
		WHERE c.seq > $1 ORDER BY c.seq`
	statement, err := db.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer statement.Close()
	for {
		pause(ctx, watchInterval)
		latest, err := f.latest(ctx)
		if err != nil {
			return err
		}
		if latest > f.seen {
			rows, err := statement.QueryContext(ctx, f.seen)
			if err != nil {
				return err
			}
			if err := f.tell(rows); err != nil {
				return err
			}
		}
		if latest > f.seen { // the run of the latest has been removed
			w.store.watcher.tellEveryone()
			f.seen = latest
		}
		if err := w.Lapsed(ctx); err != nil {
			return err
		}
	}
}

// conclusions are told in the order in which they were written.
type conclusions struct {
	db    *sql.DB
	watch *Watch
	seen  int64 // the latest that was told
}

func (f *conclusions) latest(ctx context.Context) (int64, error) {
	var seq int64
	err := f.db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM conclusions").Scan(&seq)
	return seq, err
}

// tell tells all of them, and closes the rows.
func (f *conclusions) tell(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var key jobrun.Key
		run, _, err := scanRun(rows, &seq, &key.Team, &key.Project, &key.Job)
		if err != nil {
			return err
		}
		if seq > f.seen+1 {
			// Between the two, some have been written and removed, or their runs have.
			f.watch.store.watcher.tellEveryone()
		}
		f.seen, key.Run = seq, run.ID
		if run.Concluded {
			f.watch.store.watcher.tell(key, run)
		}
	}
	return rows.Err()
}
