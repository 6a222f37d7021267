package postgres

import (
	"os"
	"path/filepath"
	"testing"
)

// StartStandby starts a server that replicates this one, which the test stops and removes in the
// end. It has the same users and databases.
func (s *Server) StartStandby(t testing.TB) *Server {
	t.Helper()
	folder, err := os.MkdirTemp("", "jobruns-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	standby := &Server{programs: s.programs, folder: folder}
	standby.cleanup(t)
	backup := s.command("pg_basebackup", "--pgdata", filepath.Join(folder, "data"), "--dbname", s.url("postgres"),
		"--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
	backup.Dir = folder
	if err := standby.giveFolder(backup.SysProcAttr); err != nil {
		t.Fatal(err)
	}
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	standby.Restart(t)
	return standby
}

// Promote makes a standby a primary, and waits until it can be written.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if out, err := s.control("promote"); err != nil {
		t.Fatalf("PostgreSQL is not promoted: %v\n%s", err, out)
	}
}
