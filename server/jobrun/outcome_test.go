package jobrun

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/gen/spec"
)

// schema returns a schema of the document.
func schema(t *testing.T, name string) *openapi3.Schema {
	t.Helper()
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas[name].Value
}

func TestOutcomeRulesAreThoseOfTheDocument(t *testing.T) {
	outcome, attempt, reason := schema(t, "JobRunOutcome"), schema(t, "JobRunAttempt"), schema(t, "JobRunReason")
	for name, test := range map[string]struct {
		rule   textRule
		schema *openapi3.Schema
	}{
		"reason of a run":       {reasonRule, outcome.Properties["reason"].Value},
		"reason of an attempt":  {reasonRule, reason},
		"message of a run":      {messageRule, outcome.Properties["message"].Value},
		"message of an attempt": {messageRule, attempt.Properties["message"].Value},
		"signal of a run":       {signalRule, outcome.Properties["signal"].Value},
		"signal of an attempt":  {signalRule, attempt.Properties["signal"].Value},
		"host":                  {hostRule, outcome.Properties["host"].Value},
	} {
		if test.schema.Pattern != test.rule.pattern.String() || int(test.schema.MinLength) != test.rule.minLength ||
			int(*test.schema.MaxLength) != test.rule.maxLength {
			t.Errorf("%s: the document says %s, %d to %d characters",
				name, test.schema.Pattern, test.schema.MinLength, *test.schema.MaxLength)
		}
	}
	if pattern := schema(t, "Time").Pattern; pattern != timeRule.pattern.String() {
		t.Errorf("times: the document says %s", pattern)
	}
	for _, schema := range []*openapi3.Schema{outcome, attempt} {
		if most := *schema.Properties["exitStatus"].Value.Max; most != maxExitStatus {
			t.Errorf("exitStatus: the document says at most %v", most)
		}
	}
	if most := *outcome.Properties["attempts"].Value.MaxItems; most != MaxAttempts {
		t.Errorf("attempts: the document says at most %d", most)
	}
	for _, known := range []string{
		ReasonCompleted, ReasonExitStatus, ReasonSignal, ReasonNotFound, ReasonNotExecutable, ReasonInterrupted,
		ReasonRecorderLost, ReasonJobDeleted, ReasonJobGone, ReasonUnknown,
	} {
		if !strings.Contains(reason.Description, "`"+known+"`") {
			t.Errorf("the document does not explain the reason %s", known)
		}
	}
}

// obeys returns an error if the document does not allow the record's outcome.
func obeys(t *testing.T, r Record) error {
	t.Helper()
	text, err := json.Marshal(r.Outcome)
	if err != nil {
		return err
	}
	var outcome any
	if err := json.Unmarshal(text, &outcome); err != nil {
		t.Fatal(err)
	}
	return schema(t, "JobRunOutcome").VisitJSON(outcome)
}

// Whatever a recorder was told, the outcome is within the contract and harmless on a terminal.
func TestConcludeKeepsTheOutcomeWithinTheContract(t *testing.T) {
	status, signal, long := 256, "a signal", strings.Repeat("é", 600)
	for _, end := range []End{
		{Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"},
		{Reason: "example.com/odd reason", Message: "x"},
		{Reason: "", Message: "nothing"},
		{Reason: strings.Repeat("A", 257), Message: long},
		{Reason: "A", Message: "a\x1b[31m\nb\u009b2J\u202ec\x00\xff"},
		{Reason: "ExitStatus", Message: "", ExitStatus: &status, Signal: &signal},
	} {
		r := Record{Outcome: NewOutcome("host\x1b" + strings.Repeat("h", 300))}
		for range MaxAttempts + 3 {
			r.AddAttempt(time.Now(), time.Now(), end)
		}
		r.Conclude(time.Now(), false, end)
		if err := obeys(t, r); err != nil {
			t.Errorf("%+v: %v", end, err)
		}
		if err := CheckOutcome(r); err != nil || !utf8.ValidString(*r.Outcome.Message) {
			t.Errorf("%+v: %q, %v", end, *r.Outcome.Message, err)
		}
		if a := r.Outcome.Attempts; len(a) != MaxAttempts || a[0].Number != 4 || a[len(a)-1].Number != MaxAttempts+3 {
			t.Errorf("attempts %d to %d, %d of them", a[0].Number, a[len(a)-1].Number, len(a))
		}
	}
}

// The states of a record that were handed over before must not change.
func TestOutcomeOfAnEarlierStateStays(t *testing.T) {
	r := Record{Outcome: NewOutcome("a")}
	r.AddAttempt(time.Now(), time.Now(), End{Reason: "A"})
	before := r
	r.AddAttempt(time.Now(), time.Now(), End{Reason: "B"})
	r.Conclude(time.Now(), true, End{Reason: "C"})
	if o := before.Outcome; o.Reason != nil || len(o.Attempts) != 1 || o.Attempts[0].Reason != "A" {
		t.Errorf("the earlier state is %+v", o)
	}
}

func TestCheckOutcomeNamesTheFieldAndAllowsNothingElse(t *testing.T) {
	text := func(s string) *string { return &s }
	number := func(n int) *int { return &n }
	attempt := func(change func(*model.JobRunAttempt)) func(*Record) {
		return func(r *Record) { change(&r.Outcome.Attempts[1]) }
	}
	for name, test := range map[string]struct {
		change func(*Record)
		want   string
	}{
		"nothing":                {func(*Record) {}, ""},
		"no outcome":             {func(r *Record) { r.Outcome = nil }, ""},
		"a run that goes on":     {func(r *Record) { r.Run.Concluded, r.Outcome = false, NewOutcome("") }, ""},
		"a conclusion without":   {func(r *Record) { r.Outcome = NewOutcome("") }, "outcome.reason"},
		"a reason before":        {func(r *Record) { r.Run.Concluded = false }, "outcome.reason"},
		"a reason of two words":  {func(r *Record) { r.Outcome.Reason = text("a b") }, "outcome.reason"},
		"a long reason":          {func(r *Record) { r.Outcome.Reason = text(strings.Repeat("A", 257)) }, "outcome.reason"},
		"a long message":         {func(r *Record) { r.Outcome.Message = text(strings.Repeat("é", 512)) }, ""},
		"a longer message":       {func(r *Record) { r.Outcome.Message = text(strings.Repeat("é", 513)) }, "outcome.message"},
		"a message of two lines": {func(r *Record) { r.Outcome.Message = text("a\nb") }, "outcome.message"},
		"a C1 control character": {func(r *Record) { r.Outcome.Message = text("c\u009b2J") },
			"outcome.message: must not have the character U+009B"},
		"a negative status":       {func(r *Record) { r.Outcome.ExitStatus = number(-1) }, "outcome.exitStatus"},
		"a status of 255":         {func(r *Record) { r.Outcome.ExitStatus = number(255) }, ""},
		"a status of 256":         {func(r *Record) { r.Outcome.ExitStatus = number(256) }, "outcome.exitStatus"},
		"a signal in lower case":  {func(r *Record) { r.Outcome.Signal = text("kill") }, "outcome.signal"},
		"a signal of 17":          {func(r *Record) { r.Outcome.Signal = text(strings.Repeat("A", 17)) }, "outcome.signal"},
		"an empty host":           {func(r *Record) { r.Outcome.Host = text("") }, "outcome.host"},
		"a host with U+0000":      {func(r *Record) { r.Outcome.Host = text("a\x00") }, "outcome.host"},
		"no list of attempts":     {func(r *Record) { r.Outcome.Attempts = nil }, "outcome.attempts"},
		"51 attempts":             {func(r *Record) { r.Outcome.Attempts = make([]model.JobRunAttempt, 51) }, "outcome.attempts"},
		"an attempt 0":            {attempt(func(a *model.JobRunAttempt) { a.Number = 0 }), "outcome.attempts[1].number"},
		"an attempt without":      {attempt(func(a *model.JobRunAttempt) { a.Reason = "" }), "outcome.attempts[1].reason"},
		"a message of an attempt": {attempt(func(a *model.JobRunAttempt) { a.Message = "\u202e" }), "outcome.attempts[1].message"},
		"a status of an attempt":  {attempt(func(a *model.JobRunAttempt) { a.ExitStatus = number(256) }), "outcome.attempts[1].exitStatus"},
		"a fraction of a second": {attempt(func(a *model.JobRunAttempt) { a.StartedAt = time.Unix(0, 1).UTC() }),
			"outcome.attempts[1].startedAt"},
		"another zone": {attempt(func(a *model.JobRunAttempt) { a.StartedAt = a.StartedAt.In(time.FixedZone("", 3600)) }),
			"outcome.attempts[1].startedAt"},
		"the year 10000": {attempt(func(a *model.JobRunAttempt) { a.ConcludedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
			"outcome.attempts[1].concludedAt"},
	} {
		r := Record{Outcome: NewOutcome("web-1")}
		r.AddAttempt(time.Now(), time.Now(), End{Reason: "A"})
		r.AddAttempt(time.Now(), time.Now(), End{Reason: "B"})
		r.Conclude(time.Now(), false, End{Reason: "B"})
		test.change(&r)
		err := CheckOutcome(r)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if r.Outcome != nil && err == nil && obeys(t, r) != nil {
			t.Errorf("%s: the document does not allow it: %v", name, obeys(t, r))
		}
	}
}
