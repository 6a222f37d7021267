package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// pollInterval is how often follow asks what other processes have written: SQLite notifies nobody.
const pollInterval = 20 * time.Millisecond

// follow reads the table conclusions, which a trigger writes.
func follow(ctx context.Context, db *sql.DB, w *store.Watch) error {
	f := follower{db: db, watch: w}
	var err error
	if f.seen, err = f.latest(ctx); err != nil {
		return err
	}
	w.Begin()
	// The columns of the key would be ambiguous if both tables had the same names for them.
	statement, err := db.PrepareContext(ctx, "SELECT "+w.RunColumns()+`, seq, team, project, job
		FROM (SELECT seq, team AS t, project AS p, job AS j, id AS i FROM conclusions WHERE seq > $1)
		JOIN runs ON team = t AND project = p AND job = j AND id = i ORDER BY seq`)
	if err != nil {
		return err
	}
	defer statement.Close()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
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
		if latest > f.seen { // the latest run has been deleted since
			w.LookAgain()
			f.seen = latest
		}
		if err := w.Lapsed(ctx); err != nil {
			return err
		}
	}
}

// follower tells a watch of conclusions in the order in which they were written.
type follower struct {
	db    *sql.DB
	watch *store.Watch
	seen  int64 // the seq of the latest conclusion that the watch knows of
}

func (f *follower) latest(ctx context.Context) (int64, error) {
	var seq int64
	err := f.db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM conclusions").Scan(&seq)
	return seq, err
}

// tell tells the watch of all rows, and closes them.
func (f *follower) tell(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var record jobrun.Record
		if _, err := store.ScanRun(rows, &record, &seq, &record.Team, &record.Project, &record.Job); err != nil {
			return err
		}
		if seq > f.seen+1 {
			// The conclusions in between are gone: the trigger has deleted them, or Prune their
			// runs.
			f.watch.LookAgain()
		}
		f.seen = seq
		if record.Run.Concluded {
			f.watch.Concluded(record.Key(), &record.Run)
		}
	}
	return rows.Err()
}
