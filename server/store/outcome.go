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

// Logs returns the last lines that the run of that key printed, the oldest line first. It returns no
// lines if no recorder kept any.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Logs(ctx context.Context, key jobrun.Key) ([]model.JobLogLine, error) {
	var outcome model.JobRunOutcome
	var stored []model.LogLine
	if _, err := s.readJSON(ctx, s.logQuery, key, &outcome, &stored); err != nil {
		return nil, err
	}
	container := key.Run
	if outcome.Host != nil {
		container = *outcome.Host
	}
	var lines []model.JobLogLine
	for _, line := range stored {
		// The log of a run of version 0.7 is one text.
		for text := range strings.SplitSeq(strings.TrimSuffix(line.Log, "\n"), "\n") {
			lines = append(lines, model.JobLogLine{ContainerID: container, Log: text, TS: line.TS})
		}
	}
	return lines, nil
}

// readJSON decodes JSON columns of the run of that key, which the query selects after concluded. If
// a column is null, its value in into stays as it is.
func (s *Store) readJSON(ctx context.Context, query string, key jobrun.Key, into ...any) (concluded bool, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	texts, targets := make([]sql.Null[string], len(into)), []any{(*boolean)(&concluded)}
	for i := range texts {
		targets = append(targets, &texts[i])
	}
	err = s.queryRow(ctx, query, key.Team, key.Project, key.Job, key.Run).Scan(targets...)
	for i, text := range texts {
		if err == nil && text.Valid {
			err = json.Unmarshal([]byte(text.V), into[i])
		}
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
