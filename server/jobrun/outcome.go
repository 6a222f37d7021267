package jobrun

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// The reasons that this module's recorders give, and the store. Others come from Kubernetes.
const (
	ReasonCompleted     = "Completed"
	ReasonExitStatus    = "ExitStatus"    // the command exited with another status than 0
	ReasonSignal        = "Signal"        // a signal ended the command
	ReasonNotFound      = "NotFound"      // there is no such program
	ReasonNotExecutable = "NotExecutable" // the program could not be executed
	ReasonInterrupted   = "Interrupted"   // a signal asked the recorder to end
	ReasonOutputLost    = "OutputLost"    // the recorder could not pass on what the command printed
	ReasonRecorderLost  = "RecorderLost"  // the recorder has died
	ReasonJobDeleted    = "JobDeleted"    // the Job was deleted while it ran
	ReasonJobGone       = "JobGone"       // the Job was deleted unseen
	ReasonUnknown       = "Unknown"       // nobody has recorded why

	// ReasonDeadlineExceeded means that the time limit of the run was over.
	ReasonDeadlineExceeded = "DeadlineExceeded"
)

// The rules of an outcome, as openapi.yaml has them: a test compares the two.
const (
	reasonPattern    = `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`
	reasonMaxLength  = 256
	messageMaxLength = 512
	hostMaxLength    = 253
	maxExitStatus    = 255
	// MaxAttempts is how many attempts an outcome has at most: the latest ones.
	MaxAttempts = 50
)

var compiledReasonPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(reasonPattern) })

// End says why a run or an attempt ended as it did. The zero value says nothing.
type End struct {
	// Reason is one word. Another text becomes part of the message.
	Reason string
	// Message is a sentence for a person. What a terminal would act upon is replaced, and what is
	// too long is cut.
	Message    string
	ExitStatus *int    // 0 to 255, or nil if nothing exited
	Signal     *string // the name of the signal that ended the command, without SIG, or nil
}

// Unknown is the end of a run of which nobody has recorded why it ended as it did.
func Unknown() End { return End{Reason: ReasonUnknown, Message: "how it ended was not recorded"} }

// withinContract returns the end as the contract allows it.
func (e End) withinContract() End {
	if len(e.Reason) > reasonMaxLength || !compiledReasonPattern().MatchString(e.Reason) {
		e.Reason, e.Message = ReasonUnknown, strings.TrimPrefix(e.Reason+": "+e.Message, ": ")
	}
	e.Message = printable(e.Message, messageMaxLength)
	if e.ExitStatus != nil && (*e.ExitStatus < 0 || *e.ExitStatus > maxExitStatus) {
		e.ExitStatus = nil
	}
	return e
}

// NewOutcome returns the outcome of a run that goes on. host names the host that records it; "" if
// that is not known.
func NewOutcome(host string) *model.JobRunOutcome {
	o := &model.JobRunOutcome{Attempts: []model.JobRunAttempt{}}
	if host = printable(host, hostMaxLength); host != "" {
		o.Host = &host
	}
	return o
}

// explain sets why the record's run has ended. The zero End leaves it without an outcome.
func (r *Record) explain(end End) {
	if end == (End{}) {
		r.Outcome = nil
		return
	}
	end = end.withinContract()
	o := r.copyOutcome()
	o.Reason, o.Message, o.ExitStatus, o.Signal = &end.Reason, &end.Message, end.ExitStatus, end.Signal
	r.Outcome = o
}

// AddAttempt counts an attempt of the record's run, which has ended.
func (r *Record) AddAttempt(startedAt, concludedAt time.Time, end End) {
	r.Run.Completions++
	end = end.withinContract()
	o := r.copyOutcome()
	o.Attempts = append(o.Attempts[max(0, len(o.Attempts)-MaxAttempts+1):], model.JobRunAttempt{
		Number:      r.Run.Completions,
		StartedAt:   startedAt.UTC().Truncate(time.Second),
		ConcludedAt: concludedAt.UTC().Truncate(time.Second),
		Reason:      end.Reason,
		Message:     end.Message,
		ExitStatus:  end.ExitStatus,
		Signal:      end.Signal,
	})
	r.Outcome = o
}

// copyOutcome returns an outcome to change: others may still read the record's own.
func (r *Record) copyOutcome() *model.JobRunOutcome {
	if r.Outcome == nil {
		return NewOutcome("")
	}
	o := *r.Outcome
	o.Attempts = slices.Clone(o.Attempts)
	return &o
}

// CheckOutcome returns an error that names the field if a record's outcome is not that of its run,
// or has a character that a terminal would act upon, which the contract's patterns do not refuse.
// A record without an outcome passes.
func CheckOutcome(r Record) error {
	o := r.Outcome
	if o == nil {
		return nil
	}
	if r.Run.Concluded != (o.Reason != nil) || r.Run.Concluded != (o.Message != nil) {
		return errors.New(
			"outcome.reason, outcome.message: must be null while run.concluded is false, and a text when it is true",
		)
	}
	texts := map[string]*string{"outcome.message": o.Message, "outcome.host": o.Host}
	for i, a := range o.Attempts {
		texts[fmt.Sprintf("outcome.attempts[%d].message", i)] = &a.Message
	}
	for name, text := range texts {
		if text != nil {
			if err := checkCharacters(name, *text); err != nil {
				return err
			}
		}
	}
	return nil
}
