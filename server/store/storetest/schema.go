package storetest

import (
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// later are statements of a migration that this program does not know but can live with.
var later = []string{
	"ALTER TABLE runs ADD COLUMN later TEXT",
	"CREATE INDEX runs_later ON runs (later)",
	"INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, true)",
}

// RaiseOldestWriter is the statement by which migration 1000 says that it breaks older programs.
const RaiseOldestWriter = "UPDATE schema_support SET oldest_writer = 1000"

// Exec executes statements as another program would.
func Exec(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := s.DB().ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func testOpenTakesALaterSchemaThatItMayWrite(t *testing.T, on subject) {
	s, url := on.open(t)
	Exec(t, s, later...)
	for _, s := range []*Store{s, on.reopen(t, url)} { // opened before that migration, and after
		Put(t, s, Running())
		if err := s.ImportRuns(t.Context(), sequence(2, nil)); err != nil {
			t.Fatal(err)
		}
		done := Await(t.Context(), t, s, Running(), nil)
		Put(t, s, Record())
		WantAwaited(t, done, Record())
		WantRun(t, s, Record())
		wantPruned(t, s, time.Now(), 3)
	}
}

// ExerciseUpgrades opens databases of all earlier schemas, each with the run of StoreRun. migrate
// makes one that has the migrations up to that version, and returns its URL; known is how many
// there are.
func ExerciseUpgrades(
	t *testing.T,
	engine store.Engine,
	known int,
	migrate func(t *testing.T, version int) (url string),
) {
	if known < 2 {
		t.Fatalf("%d migrations", known)
	}
	for version := 1; version < known; version++ {
		url := migrate(t, version)
		s := Open(t, engine, url)
		WantRun(t, s, Running(func(r *jobrun.Record) { r.Run = stored }))
		if _, err := s.Revision(t.Context()); err != nil {
			t.Error(err)
		}
		Put(t, s, Running())
		WantRun(t, s, Running())
	}
}

// StoreRun is a statement of schema 1, as all earlier programs stored a run.
const StoreRun = `INSERT INTO runs (team, project, job, id, active, backoff_limit, completions, concluded, failed, run_name, status, succeeded, started_at)
	VALUES ('default', 'default-project', 'example-job', 'stored', 1, 6, 2, 0, 0, 'stored before', 'RUNNING', 0, 1607428028)`

// stored is the run of StoreRun.
var stored = model.JobRun{
	ID: "stored", Active: model.FlagYes, BackoffLimit: 6, Completions: 2, RunName: "stored before",
	Status: model.JobRunStatusRunning, StartedAt: started,
}
