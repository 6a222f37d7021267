package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Outcome returns why the run of that key ended as it did, and which attempts have ended. A run that
// concluded without an outcome has jobrun.ReasonUnknown.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Outcome(ctx context.Context, key jobrun.Key) (*model.JobRunOutcome, error) {
	outcome := jobrun.NewOutcome("")
	concluded, err := s.readJSON(ctx, s.outcomeQuery, key, outcome)
	if concluded && outcome.Reason == nil {
		unknown := jobrun.Unknown()
		outcome.Reason, outcome.Message = &unknown.Reason, &unknown.Message
	}
	return outcome, err
}

// Output returns the last lines that the run of that key printed, as one text. Its Output is nil if
// no recorder kept them.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Output(ctx context.Context, key jobrun.Key) (*model.JobRunOutput, error) {
	var lines []model.LogLine
	if _, err := s.readJSON(ctx, s.logQuery, key, &lines); err != nil || lines == nil {
		return &model.JobRunOutput{}, err
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimSuffix(line.Log, "\n") + "\n") // version 0.7 kept the end of the last line
	}
	return &model.JobRunOutput{Output: new(text.String())}, nil
}

// readJSON decodes a JSON column of the run of that key, which the query selects after concluded. If
// the column is null, into stays as it is.
func (s *Store) readJSON(ctx context.Context, query string, key jobrun.Key, into any) (concluded bool, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	var text sql.Null[string]
	err = s.queryRow(ctx, query, key.Team, key.Project, key.Job, key.Run).Scan((*boolean)(&concluded), &text)
	if err == nil && text.Valid {
		err = json.Unmarshal([]byte(text.V), into)
	}
	return concluded, s.classify(ctx, err)
}

// encode returns the value of a JSON column, null unless it is known.
func encode(value any, known bool) sql.Null[string] {
	if !known {
		return sql.Null[string]{}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // checkStorable has refused a time that JSON does not have
	}
	return sql.Null[string]{V: string(text), Valid: true}
}
