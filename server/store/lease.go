package store

import (
	"fmt"
	"strings"
	"time"
)

// LeaseTime is how long a lease lasts. A recorder renews it far more often; when it has run out,
// the recorder is dead.
const LeaseTime = 20 * time.Second

// Lease says in SQL until when a recorder vouches for a run. Each engine has a clock that all
// processes which use the database share; the clocks of readers and writers do not matter.
type Lease struct {
	// Columns are null where no recorder vouches for the run. One of them is lease_renewed: when
	// the lease was renewed, in milliseconds.
	Columns []string
	// Values are those of the columns, for a lease that is renewed now.
	Values []string
	// Clock is the clock of lease_renewed.
	Clock string
	// Counts is a condition: lease_renewed counts on the clock as it runs now. It does not if the
	// clock has started anew since.
	Counts string
	// Lapsed is null, or when a lease that has run out was renewed, in seconds since 1970. It
	// contains %d for how long leases last, in milliseconds.
	Lapsed string
}

// lapsedSince is Lapsed for LeaseTime.
func (l Lease) lapsedSince() string {
	return fmt.Sprintf(l.Lapsed, LeaseTime.Milliseconds())
}

// valuesFor returns the values of the columns for a run that is stored now.
func (l Lease) valuesFor(leased bool) string {
	if leased {
		return strings.Join(l.Values, ", ")
	}
	return strings.Repeat("NULL, ", len(l.Columns)-1) + "NULL"
}
