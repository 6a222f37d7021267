package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// testAMistakeInSQLIsNotUnavailable renames a column, so that the statements of this program are
// wrong.
func testAMistakeInSQLIsNotUnavailable(t *testing.T, on subject) {
	s, _ := on.open(t)
	if _, err := s.DB().ExecContext(t.Context(), "ALTER TABLE runs RENAME COLUMN status TO state"); err != nil {
		t.Fatal(err)
	}
	_, _, runErr := s.Run(t.Context(), Record().Key())
	_, awaitErr := s.Await(t.Context(), Record().Key(), nil)
	for call, err := range map[string]error{"Run": runErr, "Await": awaitErr, "PutRun": s.PutRun(t.Context(), Record())} {
		if err == nil || errors.Is(err, jobrun.ErrUnavailable) || errors.Is(err, jobrun.ErrNotFound) ||
			errors.Is(err, jobrun.ErrInvalid) {
			t.Errorf("%s: %v, want an error of the database and nothing more", call, err)
		}
	}
}

func testErrorOfTheCallersContext(t *testing.T, on subject) {
	s, _ := on.open(t)
	left, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: left, context.DeadlineExceeded: late} {
		_, _, runErr := s.Run(ctx, Record().Key())
		_, awaitErr := s.Await(ctx, Record().Key(), nil)
		_, revisionErr := s.Revision(ctx)
		_, tokenErr := s.Token(ctx, jobrun.TokenHash{})
		_, tokensErr := s.Tokens(ctx)
		_, pruneErr := s.Prune(ctx, time.Now())
		for call, err := range map[string]error{
			"Run": runErr, "Await": awaitErr, "Revision": revisionErr, "Token": tokenErr, "Tokens": tokensErr, "Prune": pruneErr,
			"PutRun": s.PutRun(ctx, Record()), "ImportRuns": s.ImportRuns(ctx, sequence(1, nil)),
		} {
			if !errors.Is(err, want) || errors.Is(err, jobrun.ErrUnavailable) {
				t.Errorf("%s: %v, want %v", call, err, want)
			}
		}
	}
}
