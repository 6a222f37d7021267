package sqlite_test

import (
	"testing"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// TestLease has leases of recorders that are others than this process.
func TestLease(t *testing.T) {
	for change, want := range map[string]model.JobRunStatus{
		"lease_renewed = 0":    model.JobRunStatusRunning, // the lock says more
		"lease_boot = 'other'": model.JobRunStatusRunning,
		"lease_lock = 1":       model.JobRunStatusFailed,
		"lease_lock = NULL":    model.JobRunStatusRunning,
		"lease_lock = NULL, lease_boot = 'an earlier one'":                          model.JobRunStatusFailed,
		"lease_lock = NULL, lease_renewed = lease_renewed - 60000":                  model.JobRunStatusFailed,
		"lease_lock = NULL, lease_boot = ''":                                        model.JobRunStatusRunning,
		"lease_lock = NULL, lease_boot = '', lease_renewed = lease_renewed - 60000": model.JobRunStatusFailed,
		// Before the machine was started again, as far as one can tell.
		"lease_lock = NULL, lease_boot = '', lease_renewed = lease_renewed + 60000": model.JobRunStatusFailed,
	} {
		s, _ := open(t)
		storetest.Put(t, s, storetest.Leased(storetest.Running()))
		if _, err := s.DB().Exec("UPDATE runs SET " + change); err != nil {
			t.Fatal(err)
		}
		if run, _, err := s.Run(t.Context(), storetest.Running().Key()); err != nil || run.Status != want {
			t.Errorf("%s: %+v, %v, want %s", change, run, err, want)
		}
	}
}
