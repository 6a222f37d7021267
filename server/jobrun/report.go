package jobrun

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// ErrConflict means that a report contradicts the recorded run.
var ErrConflict = errors.New("the report contradicts the recorded run")

// ReportError is the reason why a report is refused, for the recorder to read. It wraps ErrConflict
// or ErrInvalid.
type ReportError struct {
	sentinel error
	message  string
}

// Error returns the reason. Of ErrConflict, it describes the recorded run.
func (e *ReportError) Error() string { return e.message }

// Unwrap returns the sentinel.
func (e *ReportError) Unwrap() error { return e.sentinel }

func refuse(sentinel error, format string, args ...any) error {
	return &ReportError{sentinel, fmt.Sprintf(format, args...)}
}

// maxSkew is the largest difference between the clocks of a recorder and of the server that is
// ignored. It is also the most by which repeated reports of a shifted start may differ.
const maxSkew = time.Minute

// Apply merges a report, received at the time now, into the record. For a new run, only the record's
// team, project, job and run ID are set. The result does not depend on the order of reports with
// explicit times, and a repeated report changes nothing: a start is the earliest, counts are the
// largest, attempts are collected, and a recorder's conclusion is final. ReasonRecorderLost is not a
// recorder's conclusion: any report replaces it.
//
// Returns a [*ReportError] that wraps ErrConflict if the run has another name, another source or
// another conclusion, or ErrInvalid if the report breaks a rule that the document states only in
// words. The record is then unchanged.
func (r *Record) Apply(report model.JobRunReport, now time.Time) error {
	received, now := now.UTC(), now.UTC().Truncate(time.Second)
	isNew := r.Run.RunName == ""
	name := r.Run.ID
	if report.RunName != nil {
		name = *report.RunName
	}
	c := report.Conclusion
	if err := CheckName(name); err != nil {
		return refuse(ErrInvalid, "%v", err)
	}
	switch {
	case r.Source != "":
		return refuse(ErrConflict, "another source records the run, such as jobrund watch")
	case !isNew && r.Run.RunName != name:
		return refuse(ErrConflict, "the run is recorded with the name %q", r.Run.RunName)
	case c != nil && c.Reason != nil && *c.Reason == ReasonRecorderLost:
		return refuse(ErrInvalid, "conclusion.reason: %s is the server's own", ReasonRecorderLost)
	case c != nil && r.isFinal() && !r.concludedAs(c):
		return refuse(ErrConflict, "the run is recorded with another conclusion: %s", r.conclusionInWords())
	}
	shift := time.Duration(0)
	if report.SentAt != nil {
		if shift = now.Sub(*report.SentAt); shift.Abs() <= maxSkew {
			shift = 0
		}
	}
	recorded := func(at time.Time) time.Time { return clamp(at.Add(shift), now).Truncate(time.Second) }

	r.Run.RunName = name
	if !r.isFinal() {
		r.reopen()
	}
	r.applyStart(report.StartedAt, c, recorded, now, isNew, shift != 0)
	r.Run.BackoffLimit = max(r.Run.BackoffLimit, orZero(report.BackoffLimit))
	r.Run.Completions = max(r.Run.Completions, orZero(report.Completions))
	r.applyOutcome(report, recorded)
	if len(r.Log) == 0 && report.Log != nil {
		for _, line := range *report.Log {
			r.Log = append(r.Log, model.LogLine{TS: clamp(line.TS.Add(shift), received), Log: line.Log})
		}
	}
	if r.Run.Concluded {
		return nil
	}
	if report.HeartbeatTimeout != nil {
		r.HeartbeatTimeout = *report.HeartbeatTimeout
	}
	if c != nil {
		at := now
		if c.ConcludedAt != nil {
			at = recorded(*c.ConcludedAt)
		}
		r.Run.Completions = max(r.Run.Completions, 1)
		r.Conclude(at, c.Succeeded, endOf(c))
	}
	return nil
}

// clamp returns the time in UTC, not after now and not before 1970.
func clamp(at, now time.Time) time.Time {
	at = at.UTC()
	if at.After(now) {
		return now
	}
	if epoch := time.Unix(0, 0).UTC(); at.Before(epoch) {
		return epoch
	}
	return at
}

// isFinal reports whether a recorder has concluded the run.
func (r *Record) isFinal() bool {
	return r.Run.Concluded && (r.Outcome == nil || orZero(r.Outcome.Reason) != ReasonRecorderLost)
}

// reopen makes the record's run one that has not concluded.
func (r *Record) reopen() {
	run := &r.Run
	run.Active, run.Succeeded, run.Failed = model.FlagYes, model.FlagNo, model.FlagNo
	run.Status, run.Concluded, run.ConcludedAt = model.JobRunStatusRunning, false, nil
	if r.Outcome != nil {
		o := r.copyOutcome()
		o.Reason, o.Message, o.ExitStatus, o.Signal = nil, nil, nil, nil
		r.Outcome = o
	}
}

// applyStart sets the start of a new run, or moves the start to an earlier time.
func (r *Record) applyStart(
	reported *time.Time, c *model.JobRunConclusion, recorded func(time.Time) time.Time, now time.Time, isNew, shifted bool,
) {
	start := now
	switch {
	case reported != nil:
		start = recorded(*reported)
	case isNew && c != nil && c.ConcludedAt != nil:
		start = recorded(*c.ConcludedAt)
	case !isNew:
		return
	}
	tolerance := time.Duration(0)
	if shifted {
		tolerance = maxSkew // the difference of the clocks is measured anew with each report
	}
	if isNew || r.Run.StartedAt.Sub(start) > tolerance {
		r.Run.StartedAt = start
	}
}

// applyOutcome adds the report's host and attempts to the outcome.
func (r *Record) applyOutcome(report model.JobRunReport, recorded func(time.Time) time.Time) {
	if r.Run.Concluded && r.Outcome == nil {
		return // the run was imported, and its outcome is not known
	}
	o := r.copyOutcome()
	if o.Host == nil && report.Host != nil {
		o.Host = NewOutcome(*report.Host).Host
	}
	if report.Attempts != nil {
		for _, a := range *report.Attempts {
			if slices.ContainsFunc(o.Attempts, func(b model.JobRunAttempt) bool { return b.Number == a.Number }) {
				continue
			}
			end := End{a.Reason, a.Message, a.ExitStatus, a.Signal}.withinContract()
			start := recorded(a.StartedAt)
			o.Attempts = append(o.Attempts, model.JobRunAttempt{
				Number: a.Number, StartedAt: start, ConcludedAt: notBefore(start, recorded(a.ConcludedAt)),
				Reason: end.Reason, Message: end.Message, ExitStatus: end.ExitStatus, Signal: end.Signal,
			})
			r.Run.Completions = max(r.Run.Completions, a.Number)
		}
		slices.SortFunc(o.Attempts, func(a, b model.JobRunAttempt) int { return cmp.Compare(a.Number, b.Number) })
		o.Attempts = o.Attempts[max(0, len(o.Attempts)-MaxAttempts):]
	}
	r.Outcome = o
}

// endOf returns the end that a conclusion reports.
func endOf(c *model.JobRunConclusion) End {
	end := End{orZero(c.Reason), orZero(c.Message), c.ExitStatus, c.Signal}
	if end.Reason != "" {
		return end
	}
	switch {
	case c.Signal != nil:
		end.Reason, end.Message = ReasonSignal, cmp.Or(end.Message, "signal "+*c.Signal)
	case c.ExitStatus != nil && *c.ExitStatus != 0:
		end.Reason, end.Message = ReasonExitStatus, cmp.Or(end.Message, fmt.Sprintf("exit status %d", *c.ExitStatus))
	case c.Succeeded:
		end.Reason = ReasonCompleted
	default:
		end.Reason, end.Message = ReasonUnknown, cmp.Or(end.Message, Unknown().Message)
	}
	return end
}

// concludedAs reports whether the record's conclusion is the given one. The times do not matter.
func (r *Record) concludedAs(c *model.JobRunConclusion) bool {
	end := endOf(c).withinContract()
	if r.Outcome == nil {
		return (r.Run.Status == model.JobRunStatusSuccess) == c.Succeeded
	}
	o := r.Outcome
	return (r.Run.Status == model.JobRunStatusSuccess) == c.Succeeded && orZero(o.Reason) == end.Reason &&
		equal(o.ExitStatus, end.ExitStatus) && equal(o.Signal, end.Signal)
}

// conclusionInWords describes the record's conclusion.
func (r *Record) conclusionInWords() string {
	words := string(r.Run.Status)
	if r.Run.ConcludedAt != nil {
		words += " at " + r.Run.ConcludedAt.Format(time.RFC3339)
	}
	if o := r.Outcome; o != nil && o.Reason != nil {
		words += ", reason " + *o.Reason
		if o.ExitStatus != nil {
			words += fmt.Sprintf(", exit status %d", *o.ExitStatus)
		}
		if o.Signal != nil {
			words += ", signal " + *o.Signal
		}
	}
	return words
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func orZero[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
