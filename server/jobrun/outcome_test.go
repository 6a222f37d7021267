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

func TestOutcomeRulesAreThoseOfTheDocument(t *testing.T) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	outcome, attempt := doc.Components.Schemas["JobRunOutcome"].Value, doc.Components.Schemas["JobRunAttempt"].Value
	reason := doc.Components.Schemas["JobRunReason"].Value
	for name, schema := range map[string]*openapi3.Schema{"of a run": outcome.Properties["reason"].Value, "of an attempt": reason} {
		if schema.Pattern != reasonPattern || *schema.MaxLength != reasonMaxLength {
			t.Errorf("reason %s: the document says %s, at most %d", name, schema.Pattern, *schema.MaxLength)
		}
	}
	for _, schema := range []*openapi3.Schema{outcome, attempt} {
		if most := *schema.Properties["message"].Value.MaxLength; most != messageMaxLength {
			t.Errorf("message: the document says at most %d", most)
		}
		if most := *schema.Properties["exitStatus"].Value.Max; most != maxExitStatus {
			t.Errorf("exitStatus: the document says at most %v", most)
		}
	}
	if most := *outcome.Properties["host"].Value.MaxLength; most != hostMaxLength {
		t.Errorf("host: the document says at most %d", most)
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

// Whatever a recorder was told, the outcome is within the contract and harmless on a terminal.
func TestConcludeKeepsTheOutcomeWithinTheContract(t *testing.T) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["JobRunOutcome"].Value
	status, long := 256, strings.Repeat("é", 600)
	for _, end := range []End{
		{Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"},
		{Reason: "example.com/odd reason", Message: "x"},
		{Reason: "", Message: "nothing"},
		{Reason: strings.Repeat("A", 257), Message: long},
		{Reason: "A", Message: "a\x1b[31m\nb\u009b2J\u202ec\x00\xff"},
		{Reason: "ExitStatus", Message: "", ExitStatus: &status},
	} {
		r := Record{Outcome: NewOutcome("host\x1b" + strings.Repeat("h", 300))}
		for range MaxAttempts + 3 {
			r.AddAttempt(time.Now(), time.Now(), end)
		}
		r.Conclude(time.Now(), false, end)
		text, err := r.MarshalLine()
		if err != nil {
			t.Fatal(err)
		}
		var line struct{ Outcome any }
		unmarshal(t, text, &line)
		if err := schema.VisitJSON(line.Outcome); err != nil {
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

func TestCheckOutcome(t *testing.T) {
	reason, message, bad := "A", "b", "c\u009b2J"
	for name, test := range map[string]struct {
		r    Record
		want string
	}{
		"none":              {Record{}, ""},
		"going on":          {Record{Outcome: NewOutcome("")}, ""},
		"concluded without": {Record{Run: model.JobRun{Concluded: true}, Outcome: NewOutcome("")}, "outcome.reason"},
		"going on with a reason": {Record{Outcome: &model.JobRunOutcome{Reason: &reason, Message: &message}},
			"outcome.reason"},
		"a character": {Record{Run: model.JobRun{Concluded: true}, Outcome: &model.JobRunOutcome{Reason: &reason, Message: &bad}},
			"outcome.message: must not have the character U+009B"},
		"a character of an attempt": {Record{Outcome: &model.JobRunOutcome{Attempts: []model.JobRunAttempt{{}, {Message: bad}}}},
			"outcome.attempts[1].message"},
	} {
		switch err := CheckOutcome(test.r); {
		case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
