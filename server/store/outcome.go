package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// outcomeColumns hold why a run ended as it did, and what it printed, as the JSON of the contract's
// types; null if that is not known. Queries for runs do not read them.
var outcomeColumns = []string{"outcome", "output"}

// Outcome returns why the run of that key ended as it did, and which attempts have ended. A run
// whose recorder has died has jobrun.ReasonRecorderLost, and a run that concluded without an outcome
// has jobrun.ReasonUnknown.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Outcome(ctx context.Context, key jobrun.Key) (*model.JobRunOutcome, error) {
	var text sql.Null[string]
	record, final, err := s.read(ctx, s.outcomeQuery, key, &text)
	if err != nil {
		return nil, err
	}
	outcome := jobrun.NewOutcome("")
	if text.Valid && json.Unmarshal([]byte(text.V), outcome) != nil {
		// A recorder of version 0.7 that ran while the store was upgraded has another form of attempts.
		outcome.Attempts = []model.JobRunAttempt{}
	}
	if lost := record.Outcome; lost != nil { // only a lease that has run out sets it
		outcome.Reason, outcome.Message = lost.Reason, lost.Message
	} else if final && outcome.Reason == nil {
		unknown := jobrun.Unknown()
		outcome.Reason, outcome.Message = &unknown.Reason, &unknown.Message
	}
	return outcome, nil
}

// Output returns the last part of what the run of that key has printed. Its Output is nil if that is
// not known.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Output(ctx context.Context, key jobrun.Key) (*model.JobRunOutput, error) {
	var text sql.Null[string]
	if _, _, err := s.read(ctx, s.outputQuery, key, &text); err != nil {
		return nil, err
	}
	output := &model.JobRunOutput{}
	if text.Valid {
		if err := json.Unmarshal([]byte(text.V), output); err != nil {
			return nil, fmt.Errorf("the output of run %s: %w", key.Run, err)
		}
	}
	return output, nil
}

// encode returns the value of one of the outcomeColumns.
func encode[T any](value *T) sql.Null[string] {
	if value == nil {
		return sql.Null[string]{}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // checkStorable has refused a time that JSON does not have
	}
	return sql.Null[string]{V: string(text), Valid: true}
}
