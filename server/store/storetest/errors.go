package storetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// testAMistakeInSQLIsNotUnavailable renames a column, so that the statements of this program are
// wrong.
func testAMistakeInSQLIsNotUnavailable(t *testing.T, on subject) {
	s, _ := on.open(t)
	Exec(t, s, "ALTER TABLE runs RENAME COLUMN status TO state")
	_, runErr := s.Run(t.Context(), Record().Key())
	_, awaitErr := s.Await(t.Context(), Record().Key(), nil)
	for call, err := range map[string]error{"Run": runErr, "Await": awaitErr, "PutRun": s.PutRun(t.Context(), Record())} {
		if err == nil || errors.Is(err, jobrun.ErrUnavailable) || errors.Is(err, jobrun.ErrNotFound) ||
			errors.Is(err, jobrun.ErrInvalid) {
			t.Errorf("%s: %v, want an error of the database and nothing more", call, err)
		}
	}
}

// testMissingTablesAreUnavailable removes the tables, as happens while a backup is restored.
func testMissingTablesAreUnavailable(t *testing.T, on subject) {
	s, _ := on.open(t)
	Exec(t, s, "DROP TABLE runs; DROP TABLE jobs; DROP TABLE tokens")
	calls := CallAll(t.Context(), s)
	for _, call := range []string{"Revision", "ImportRuns"} { // which use other tables
		delete(calls, call)
	}
	for call, err := range calls {
		if !errors.Is(err, jobrun.ErrUnavailable) || errors.Is(err, jobrun.ErrTimeout) {
			t.Errorf("%s: %v, want ErrUnavailable", call, err)
		}
	}
}

// CallAll calls the methods of the store, and returns their errors.
func CallAll(ctx context.Context, s *Store) map[string]error {
	key := Record().Key()
	_, runErr := s.Run(ctx, key)
	_, outcomeErr := s.Outcome(ctx, key)
	_, logsErr := s.Logs(ctx, key)
	_, awaitErr := s.Await(ctx, key, nil)
	_, recordErr := s.RecordRun(ctx, Record(withID("reported")).Key(), model.JobRunReport{}, Admit)
	_, listErr := s.JobRuns(ctx, key, jobrun.Filter{}, jobrun.Page{Size: 1})
	_, _, statesErr := s.JobStates(ctx, 1)
	_, revisionErr := s.Revision(ctx)
	_, tokenErr := s.Token(ctx, jobrun.TokenHash{})
	_, tokensErr := s.Tokens(ctx)
	_, pruneErr := s.Prune(ctx, store.Pruning{Before: time.Now()})
	return map[string]error{
		"Run": runErr, "Outcome": outcomeErr, "Logs": logsErr, "Await": awaitErr, "RecordRun": recordErr,
		"JobRuns": listErr, "JobStates": statesErr, "Revision": revisionErr, "Token": tokenErr, "Tokens": tokensErr,
		"Prune": pruneErr, "PutRun": s.PutRun(ctx, Record()), "ImportRuns": s.ImportRuns(ctx, sequence(1, nil)),
		"CreateToken": s.CreateToken(ctx, jobrun.TokenHash{}, jobrun.Token{Name: "a", Teams: []string{"x"}}),
		"RevokeToken": s.RevokeToken(ctx, "a"),
	}
}

func testErrorOfTheCallersContext(t *testing.T, on subject) {
	s, _ := on.open(t)
	left, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: left, context.DeadlineExceeded: late} {
		for call, err := range CallAll(ctx, s) {
			if !errors.Is(err, want) || errors.Is(err, jobrun.ErrUnavailable) {
				t.Errorf("%s: %v, want %v", call, err, want)
			}
		}
	}
}

// testStoreThatEnds closes a store, or has a newer server forbid its use, while a caller waits.
func testStoreThatEnds(t *testing.T, on subject) {
	for want, end := range map[error]func(*testing.T, *Store){
		jobrun.ErrUnavailable: func(t *testing.T, s *Store) {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		},
		jobrun.ErrOutdated: func(t *testing.T, s *Store) {
			Exec(t, s, RaiseOldestWriter)
			if err := s.Tick(t.Context(), slog.New(slog.DiscardHandler)); !errors.Is(err, jobrun.ErrOutdated) {
				t.Errorf("Tick: %v", err)
			}
		},
	} {
		s, _ := on.open(t)
		tick(t, s)
		Put(t, s, Running())
		done := Await(t.Context(), t, s, Running(), nil)
		end(t, s)
		calls := CallAll(t.Context(), s)
		calls["Await, begun before"] = (<-done).Err
		calls["Ready"] = s.Ready(t.Context())
		for call, err := range calls {
			if !errors.Is(err, want) || !errors.Is(err, jobrun.ErrUnavailable) {
				t.Errorf("%s: %v, want %v", call, err, want)
			}
		}
		if n := s.Waiting(); n != 0 {
			t.Errorf("%d wait for a store that has ended", n)
		}
	}
}
