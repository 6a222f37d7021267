// Package jsonlines reads runs that other programs recorded from JSON Lines
// (https://jsonlines.org).
package jsonlines

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// maxLine is how long a line may be, in bytes. A run within the contract takes less than 4 KiB, and
// its outcome less than 160 KiB.
const maxLine = 256 << 10

// Required and Properties are what an object on a line has, as contract.Document.Object takes them.
var (
	Required   = []string{"projectId", "jobId", "run"}
	Properties = map[string]string{
		"teamId": "ID", "projectId": "ID", "jobId": "ID", "run": "JobRun", "outcome": "JobRunOutcome",
	}
)

// Reader reads runs and checks each line.
type Reader struct {
	check func(line []byte) error
}

// NewReader returns a reader that calls check for each line that is not blank. The check returns an
// error that says what is wrong with the line; a line that it accepts is an object of the form of
// jobrun.Line, and has no other fields.
func NewReader(check func(line []byte) error) *Reader { return &Reader{check} }

// Read yields the run of each line that is not blank, and stops after the first error, which names
// the line and the rule that it breaks. It reads ahead, on all processors, while earlier runs are
// being dealt with.
func (r *Reader) Read(from io.Reader) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) {
		done := make(chan struct{})
		defer close(done)
		for chunk := range r.chunks(from, done) {
			for _, result := range <-chunk {
				if !yield(result.record, result.err) || result.err != nil {
					return
				}
			}
		}
	}
}

func (r *Reader) parse(text []byte) (jobrun.Record, error) {
	if err := r.check(text); err != nil {
		return jobrun.Record{}, err
	}
	var l jobrun.Line
	// What the check accepts and the model does not: a day or a number that does not exist.
	if err := json.Unmarshal(text, &l); err != nil {
		return jobrun.Record{}, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if err := jobrun.CheckName(l.Run.RunName); err != nil {
		return jobrun.Record{}, fmt.Errorf("run.%w", err)
	}
	if l.Run.Concluded != (l.Run.ConcludedAt != nil) {
		return jobrun.Record{}, errors.New(
			"run.concludedAt: must be null while concluded is false, and a time when it is true",
		)
	}
	if err := checkOrder("run", l.Run.StartedAt, l.Run.ConcludedAt); err != nil {
		return jobrun.Record{}, err
	}
	if l.Outcome != nil {
		for i, a := range l.Outcome.Attempts {
			if err := checkOrder(fmt.Sprintf("outcome.attempts[%d]", i), a.StartedAt, &a.ConcludedAt); err != nil {
				return jobrun.Record{}, err
			}
		}
	}
	record := jobrun.Record{
		Team: cmp.Or(l.TeamID, jobrun.DefaultTeam), Project: l.ProjectID, Job: l.JobID, Run: l.Run, Outcome: l.Outcome,
	}
	return record, jobrun.CheckOutcome(record)
}

// checkOrder returns an error that names the field if something concluded before it started.
func checkOrder(of string, startedAt time.Time, concludedAt *time.Time) error {
	if concludedAt != nil && concludedAt.Before(startedAt) {
		return fmt.Errorf("%s.concludedAt: must not be before %s.startedAt", of, of)
	}
	return nil
}
