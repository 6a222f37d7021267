package jobrun

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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

// MaxAttempts is how many attempts an outcome has at most: the latest ones.
const MaxAttempts = 50

const maxExitStatus = 255

// textRule bounds a text of an outcome. The lengths are in characters.
type textRule struct {
	pattern              *regexp.Regexp
	minLength, maxLength int
}

// The rules of an outcome, as openapi.yaml has them: a test compares the two.
var (
	reasonRule  = textRule{regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`), 0, 256}
	messageRule = textRule{regexp.MustCompile(`^[^\x00-\x1F\x7F]*$`), 0, 512}
	signalRule  = textRule{regexp.MustCompile(`^[A-Z0-9][A-Z0-9+-]*$`), 0, 16}
	hostRule    = textRule{regexp.MustCompile(`^[^\x00-\x1F\x7F]*$`), 1, 253}
	timeRule    = textRule{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z$`), 20, 20}
)

// check returns an error that names the field if the text breaks the rule, or has a character that a
// terminal would act upon. A text that is nil passes.
func (r textRule) check(field string, text *string) error {
	if text == nil {
		return nil
	}
	if n := utf8.RuneCountInString(*text); n < r.minLength || n > r.maxLength || !r.pattern.MatchString(*text) {
		return fmt.Errorf("%s: must have %d to %d characters and match %s", field, r.minLength, r.maxLength, r.pattern)
	}
	return checkCharacters(field, *text)
}

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
	if reasonRule.check("reason", &e.Reason) != nil {
		e.Reason, e.Message = ReasonUnknown, strings.TrimPrefix(e.Reason+": "+e.Message, ": ")
	}
	e.Message = sanitize(e.Message, messageRule.maxLength)
	if signalRule.check("signal", e.Signal) != nil {
		e.Signal = nil
	}
	if e.ExitStatus != nil && (*e.ExitStatus < 0 || *e.ExitStatus > maxExitStatus) {
		e.ExitStatus = nil
	}
	return e
}

// NewOutcome returns the outcome of a run that goes on. host names the host that records it; "" if
// that is not known.
func NewOutcome(host string) *model.JobRunOutcome {
	o := &model.JobRunOutcome{Attempts: []model.JobRunAttempt{}}
	if host = sanitize(host, hostRule.maxLength); host != "" {
		o.Host = &host
	}
	return o
}

// setEnd sets why the record's run has ended. The zero End leaves it without an outcome.
func (r *Record) setEnd(end End) {
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
	startedAt = startedAt.UTC().Truncate(time.Second)
	o := r.copyOutcome()
	o.Attempts = append(o.Attempts[max(0, len(o.Attempts)-MaxAttempts+1):], model.JobRunAttempt{
		Number:      r.Run.Completions,
		StartedAt:   startedAt,
		ConcludedAt: notBefore(startedAt, concludedAt.UTC().Truncate(time.Second)),
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

// CheckOutcome returns an error that names the field if a record's outcome is not that of its run or
// breaks a rule of openapi.yaml, or has a character that a terminal would act upon, which the
// document's patterns do not refuse. A record without an outcome passes.
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
	if err := cmp.Or(checkEnd(o.Reason, o.Message, o.ExitStatus, o.Signal), hostRule.check("host", o.Host)); err != nil {
		return fmt.Errorf("outcome.%w", err)
	}
	if o.Attempts == nil || len(o.Attempts) > MaxAttempts {
		return fmt.Errorf("outcome.attempts: must be a list of at most %d attempts", MaxAttempts)
	}
	for i, a := range o.Attempts {
		if a.Number < 1 {
			return fmt.Errorf("outcome.attempts[%d].number: must be at least 1", i)
		}
		started, concluded := a.StartedAt.Format(time.RFC3339Nano), a.ConcludedAt.Format(time.RFC3339Nano)
		if err := cmp.Or(
			timeRule.check("startedAt", &started),
			timeRule.check("concludedAt", &concluded),
			checkEnd(&a.Reason, &a.Message, a.ExitStatus, a.Signal),
		); err != nil {
			return fmt.Errorf("outcome.attempts[%d].%w", i, err)
		}
	}
	return nil
}

func checkEnd(reason, message *string, exitStatus *int, signal *string) error {
	if exitStatus != nil && (*exitStatus < 0 || *exitStatus > maxExitStatus) {
		return fmt.Errorf("exitStatus: must be from 0 to %d", maxExitStatus)
	}
	return cmp.Or(
		reasonRule.check("reason", reason),
		messageRule.check("message", message),
		signalRule.check("signal", signal),
	)
}
