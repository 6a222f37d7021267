//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestSQLite3ReadsAStore has the sqlite3 of the system check a store, which may be older than ours.
func TestSQLite3ReadsAStore(t *testing.T) {
	store, _ := documentedStore(t)
	sqlite3 := exec.Command("sqlite3", strings.TrimPrefix(store, "sqlite:"),
		"PRAGMA integrity_check; SELECT count(*), max(status) FROM runs; SELECT name FROM tokens;")
	out, err := sqlite3.CombinedOutput()
	if want := "ok\n1|SUCCESS\ntest\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}
