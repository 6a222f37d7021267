package store

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// leaseTime is how long a lease lasts. A recorder renews it far more often; when it has run out, the recorder is dead.
const leaseTime = 20 * time.Second

// Lease says in SQL until when a recorder vouches for a run. Each engine has a clock that all who use the database
// share; the clock of whoever asks or writes is not looked at.
type Lease struct {
	// Columns are null where nobody vouches; lease_renewed is when the lease was renewed, in milliseconds.
	Columns []string
	// Values are those of the columns, for a lease that is renewed now.
	Values []string
	// Clock is what lease_renewed counts on.
	Clock string
	// Counts is whether it counts: not if it is from before the clock was started anew.
	Counts string
	// Lapsed is when a lease that has run out was renewed, in seconds since 1970, or else null; %d is how long leases last.
	Lapsed string
}

// lapsedSince is Lapsed for scanRun.
func (l Lease) lapsedSince() string {
	return fmt.Sprintf(l.Lapsed, leaseTime.Milliseconds())
}

// valuesFor are the values of the columns for a run that is stored now.
func (l Lease) valuesFor(leased bool) string {
	if leased {
		return strings.Join(l.Values, ", ")
	}
	return strings.Repeat("NULL, ", len(l.Columns)-1) + "NULL"
}

// settle makes a run whose lease has run out what it is: failed, since its recorder was last heard of.
func settle(run *model.JobRun, lapsed sql.Null[int64]) {
	if run.Concluded || !lapsed.Valid {
		return
	}
	record := jobrun.Record{Run: *run}
	record.Conclude(time.Unix(lapsed.V, 0), false)
	*run = record.Run
}
