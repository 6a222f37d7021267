package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// outcomeColumns hold why a run ended as it did, and what it printed, as JSON; null if that is not
// known. What reads runs does not read them.
var outcomeColumns = []string{"outcome", "output"}

// storedOutcome is an outcome as it is stored: nearly every run has one, so that each byte counts.
type storedOutcome struct {
	// Of is conclusionOf the run. Programs that know no outcomes replace the run and leave its
	// outcome, which then is that of another.
	Of   string `json:"of,omitempty"`
	Host string `json:"host,omitempty"`
	storedEnd
	Attempts []storedAttempt `json:"attempts,omitempty"`
}

type storedEnd struct {
	Reason     string `json:"reason,omitempty"`
	Message    string `json:"message,omitempty"`
	ExitStatus *int   `json:"exitStatus,omitempty"`
	Signal     string `json:"signal,omitempty"`
}

// storedAttempt has no end of its own, and so no Reason, if it ended as its run did.
type storedAttempt struct {
	Number      int   `json:"number"`
	StartedAt   int64 `json:"startedAt"` // in seconds since 1970
	ConcludedAt int64 `json:"concludedAt"`
	storedEnd
}

// conclusionOf tells how a run ended from how others did; "" for one that has not concluded.
func conclusionOf(run *model.JobRun) string {
	if run.ConcludedAt == nil {
		return ""
	}
	return string(run.Status) + " " + strconv.FormatInt(run.ConcludedAt.Unix(), 10)
}

// Outcome returns why the run of that key ended as it did, and which attempts have ended. A run
// whose recorder has died has jobrun.ReasonRecorderLost, and one of which nothing is known, or whose
// outcome is that of an earlier state, jobrun.ReasonUnknown.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Outcome(ctx context.Context, key jobrun.Key) (*model.JobRunOutcome, error) {
	record, _, err := s.explained(ctx, s.outcomeQuery, key)
	return record.Outcome, err
}

// Output returns the last part of what the run of that key has printed. Its Output is nil if that is
// not known.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Output(ctx context.Context, key jobrun.Key) (*model.JobRunOutput, error) {
	var text sql.Null[string]
	record, known, err := s.explained(ctx, s.outputQuery, key, &text)
	output := &model.JobRunOutput{}
	if err == nil && known && text.Valid {
		if err := json.Unmarshal([]byte(text.V), output); err != nil {
			return nil, fmt.Errorf("the output of run %s: %w", record.Run.ID, err)
		}
	}
	return output, err
}

// explained reads the run of that key with its outcome, which is not nil unless there is an error,
// and other columns into the others. known reports whether what is stored is of the run as it is.
func (s *Store) explained(
	ctx context.Context,
	query string,
	key jobrun.Key,
	others ...any,
) (record jobrun.Record, known bool, err error) {
	var outcome sql.Null[string]
	record, final, err := s.read(ctx, query, key, append([]any{&outcome}, others...)...)
	if err != nil {
		return record, false, err
	}
	lost := record.Outcome // only a lease that has run out has set it
	var stored storedOutcome
	wanted := ""
	if final {
		wanted = conclusionOf(&record.Run)
	}
	if outcome.Valid {
		if err := json.Unmarshal([]byte(outcome.V), &stored); err != nil {
			return record, false, fmt.Errorf("the outcome of run %s: %w", key.Run, err)
		}
	}
	switch {
	case outcome.Valid && stored.Of == wanted:
		record.Outcome = stored.outcome()
	case final:
		record.Conclude(*record.Run.ConcludedAt, record.Run.Status == model.JobRunStatusSuccess, jobrun.Unknown())
		return record, false, nil
	default:
		record.Outcome = jobrun.NewOutcome("")
	}
	if lost != nil {
		record.Outcome.Reason, record.Outcome.Message = lost.Reason, lost.Message
	}
	return record, true, nil
}

// encodeOutcome returns the value of the column outcome.
func encodeOutcome(r *jobrun.Record) sql.Null[string] {
	o := r.Outcome
	if o == nil {
		return sql.Null[string]{}
	}
	end := storedEnd{orZero(o.Reason), orZero(o.Message), o.ExitStatus, orZero(o.Signal)}
	stored := storedOutcome{Of: conclusionOf(&r.Run), Host: orZero(o.Host), storedEnd: end}
	for _, a := range o.Attempts {
		attempt := storedAttempt{Number: a.Number, StartedAt: a.StartedAt.Unix(), ConcludedAt: a.ConcludedAt.Unix()}
		if its := (storedEnd{a.Reason, a.Message, a.ExitStatus, orZero(a.Signal)}); !its.equals(end) {
			attempt.storedEnd = its
		}
		stored.Attempts = append(stored.Attempts, attempt)
	}
	return encodeJSON(stored)
}

// encodeOutput returns the value of the column output.
func encodeOutput(r *jobrun.Record) sql.Null[string] {
	if r.Output == nil {
		return sql.Null[string]{}
	}
	return encodeJSON(r.Output)
}

func encodeJSON(value any) sql.Null[string] {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not have
	}
	return sql.Null[string]{V: string(text), Valid: true}
}

func (e storedEnd) equals(other storedEnd) bool {
	sameStatus := (e.ExitStatus == nil) == (other.ExitStatus == nil) && orZero(e.ExitStatus) == orZero(other.ExitStatus)
	return sameStatus && e.Reason == other.Reason && e.Message == other.Message && e.Signal == other.Signal
}

func (s *storedOutcome) outcome() *model.JobRunOutcome {
	o := jobrun.NewOutcome(s.Host)
	o.Reason, o.ExitStatus, o.Signal = orNil(s.Reason), s.ExitStatus, orNil(s.Signal)
	if o.Reason != nil {
		o.Message = &s.Message
	}
	for _, a := range s.Attempts {
		end := a.storedEnd
		if end.Reason == "" {
			end = s.storedEnd
		}
		o.Attempts = append(o.Attempts, model.JobRunAttempt{
			Number:      a.Number,
			StartedAt:   time.Unix(a.StartedAt, 0).UTC(),
			ConcludedAt: time.Unix(a.ConcludedAt, 0).UTC(),
			Reason:      end.Reason,
			Message:     end.Message,
			ExitStatus:  end.ExitStatus,
			Signal:      orNil(end.Signal),
		})
	}
	o.Attempts = slices.Clip(o.Attempts)
	return o
}

func orZero[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
