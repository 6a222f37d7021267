package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func revisionOf(t *testing.T, s *Store) int64 {
	t.Helper()
	n, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// testRevision changes something in each step. The revision changes with final runs and with
// tokens.
func testRevision(t *testing.T, on subject) {
	s, url := on.open(t)
	other := on.reopen(t, url) // the process that changes something
	exec := func(statement string) func() error {
		return func() error { _, err := other.DB().ExecContext(t.Context(), statement); return err }
	}
	put := func(change ...func(*jobrun.Record)) func() error {
		return func() error { return other.PutRun(t.Context(), Record(change...)) }
	}
	goesOn := func(r *jobrun.Record) {
		r.Run = Running().Run
	}
	another := func(r *jobrun.Record) { r.Run.ID = "another" }
	secondAttempt := func(r *jobrun.Record) { r.Run.Completions = 2 }
	token := func() error {
		token := jobrun.Token{Name: "n", Teams: []string{"default"}, CreatedAt: started}
		return other.CreateToken(t.Context(), jobrun.TokenHash{1}, token)
	}
	imports := func() error {
		return other.ImportRuns(t.Context(), func(yield func(jobrun.Record, error) bool) {
			_ = yield(Record(), nil) && yield(Record(another, secondAttempt), nil)
		})
	}
	prune := func() error { _, err := other.Prune(t.Context(), store.Pruning{Before: time.Now()}); return err }
	for _, step := range []struct {
		name    string
		do      func() error
		changes bool
	}{
		{"a run begins", put(goesOn), false},
		{"it concludes", put(), false},
		{"it is recorded again", put(), false},
		{"it is recorded otherwise", put(secondAttempt), true},
		{"it goes on", put(goesOn), true},
		{"and concludes", put(), false},
		{"another run is imported", put(another), false},
		{"both are imported again, one otherwise", imports, true},
		{"both are imported again as they are", imports, false},
		{"a run that goes on is removed", func() error {
			return errors.Join(put(goesOn, func(r *jobrun.Record) { r.Run.ID = "third" })(), exec("DELETE FROM runs WHERE concluded = 0")())
		}, false},
		{"a run changes by plain SQL", exec("UPDATE runs SET run_name = 'changed' WHERE id = 'another'"), true},
		{"a run gets another id", exec("UPDATE runs SET id = 'renamed' WHERE id = 'another'"), true},
		{"nothing is old enough", func() error { _, err := other.Prune(t.Context(), store.Pruning{Before: started}); return err }, false},
		{"all are removed", prune, true},
		{"nothing is left", prune, false},
		{"a token is created", token, false},
		{"a token is changed", exec("UPDATE tokens SET expires_at = 1"), true},
		{"a token is revoked", func() error { return other.RevokeToken(t.Context(), "n") }, true},
	} {
		before := revisionOf(t, s)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if changed := revisionOf(t, s) != before; changed != step.changes {
			t.Errorf("%s: another revision: %t, want %t", step.name, changed, step.changes)
		}
	}
}
