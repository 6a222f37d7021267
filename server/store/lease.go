package store

import (
	"database/sql"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
)

// leaseTime is how long a lease lasts. A recorder renews it far more often; when it has run out, the recorder is dead.
const leaseTime = 20 * time.Second

// lease is until when a recorder vouches for a run: the zero value where none does.
type lease struct {
	boot      sql.Null[string]
	renewed   sql.Null[int64] // on the steady clock, in milliseconds
	renewedAt sql.Null[int64] // the time of day, in seconds since 1970
}

// steady is the machine's clock that does not jump when the time of day is set, and stands still while the machine is
// suspended. It can be compared with what another process of the same boot has stored.
type steady struct {
	boot string
	now  func() (time.Duration, error)
}

// renew returns the lease that the record has from now on.
func (c steady) renew(r server.Record) (lease, error) {
	if !r.Leased || r.Run.Concluded {
		return lease{}, nil
	}
	now, err := c.now()
	if err != nil {
		return lease{}, err
	}
	return lease{
		boot:      sql.Null[string]{V: c.boot, Valid: true},
		renewed:   sql.Null[int64]{V: now.Milliseconds(), Valid: true},
		renewedAt: sql.Null[int64]{V: time.Now().Unix(), Valid: true},
	}, nil
}

// settle makes a run whose lease has run out what it is: failed, since its recorder was last heard of.
func (c steady) settle(run *model.JobRun, l lease) error {
	if run.Concluded || !l.boot.Valid {
		return nil
	}
	now, err := c.now()
	if err != nil {
		return err
	}
	if l.boot.V == c.boot && now.Milliseconds()-l.renewed.V <= leaseTime.Milliseconds() {
		return nil
	}
	at := time.Unix(max(l.renewedAt.V, run.StartedAt.Unix()), 0).UTC()
	run.Active, run.Concluded, run.ConcludedAt = model.No, true, &at
	run.Status, run.Failed, run.Succeeded = model.Failed, model.Yes, model.No
	return nil
}
