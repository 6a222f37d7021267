package store

import (
	"fmt"
	"strings"
	"time"
)

// Lease says in SQL whether a recorder still vouches for a run. All processes that use the database
// see the same; the clocks of readers and writers do not matter.
type Lease struct {
	// Columns are null where no recorder vouches for the run. One of them is lease_renewed: when
	// the lease was renewed, in milliseconds.
	Columns []string
	// Values are those of the columns, for a lease that is renewed now.
	Values []string
	// Time is how long a lease lasts from its last renewal, unless the engine knows better whether
	// the recorder lives. A recorder renews it far more often.
	Time time.Duration
	// Running is a condition, of which the engine has an index: the run has a lease and has not
	// concluded.
	Running string
	// Lapsed is null, or when a lease that has run out was renewed, in seconds since 1970. It
	// contains %d for Time, in milliseconds.
	Lapsed string
}

// lapsedSince is Lapsed for Time.
func (l Lease) lapsedSince() string {
	return fmt.Sprintf(l.Lapsed, l.Time.Milliseconds())
}

// valuesFor returns the values of the columns for a run that is stored now.
func (l Lease) valuesFor(leased bool) string {
	if leased {
		return strings.Join(l.Values, ", ")
	}
	return strings.Repeat("NULL, ", len(l.Columns)-1) + "NULL"
}
