package store

import (
	"context"
	"time"

	"github.com/jobruns/jobruns/server/stored"
)

// leaseInterval is how often a watch looks for leases that have run out, and how long it rests when something is in the
// way.
const leaseInterval = time.Second

// watch looks for conclusions on behalf of all who wait, until it is cancelled.
type watch struct {
	store  *Store
	begun  chan struct{} // closed when nothing escapes it any more, or something is in the way
	cancel context.CancelFunc
}

// run follows what is written. While the store cannot be read, those who wait are told to look for themselves, and find
// out why.
func (w *watch) run(ctx context.Context) {
	begun := false
	begin := func() {
		if begun {
			w.store.watcher.tellEveryone() // of what has escaped it meanwhile
			return
		}
		begun = true
		close(w.begun)
	}
	for ctx.Err() == nil {
		_ = w.store.follow(ctx, w.store, begin) // those who wait find out why it has ended
		begin()
		pause(ctx, leaseInterval)
	}
}

// lapses finds leases as they run out.
type lapses struct {
	store *Store
	next  time.Time // when to look again
	until int64     // those that were renewed before then, on the engine's clock, have been looked at
}

// begin is where looking begins: whoever waits looks at the run once it has begun.
func (l *lapses) begin(ctx context.Context) error {
	now, err := l.now(ctx)
	l.until = now - leaseTime.Milliseconds()
	l.next = time.Now().Add(leaseInterval)
	return err
}

func (l *lapses) now(ctx context.Context) (int64, error) {
	var now int64
	err := l.store.db.QueryRowContext(ctx, "SELECT "+l.store.clock).Scan(&now)
	return now, err
}

// look tells those who wait for a run whose lease has run out since it last looked, if it is time to.
func (l *lapses) look(ctx context.Context) error {
	if time.Now().Before(l.next) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	now, err := l.now(ctx)
	if err != nil {
		return err
	}
	until := now - leaseTime.Milliseconds()
	rows, err := l.store.db.QueryContext(ctx, "SELECT team, project, job, id FROM runs WHERE concluded = 0 AND "+l.store.counts+
		" AND lease_renewed IS NOT NULL AND lease_renewed >= $1 AND lease_renewed < $2", l.until, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key stored.RunKey
		if err := rows.Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
			return err
		}
		l.store.watcher.tell(key, nil)
	}
	l.until = until
	l.next = time.Now().Add(leaseInterval)
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
