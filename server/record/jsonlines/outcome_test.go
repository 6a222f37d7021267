package jsonlines

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server/jobrun"
)

// explained is valid with an outcome.
var explained = strings.TrimSuffix(valid, "}") + `,"outcome":{"reason":"ExitStatus","message":"exit status 23",` +
	`"exitStatus":23,"signal":null,"host":"web-1","attempts":[{"number":1,"startedAt":"2020-12-08T11:47:08Z",` +
	`"concludedAt":"2020-12-08T11:52:08Z","reason":"ExitStatus","message":"exit status 23","exitStatus":23,"signal":null}]}}`

func TestReadReturnsTheOutcome(t *testing.T) {
	records, err := readAll(newReader(t), strings.NewReader(explained))
	if err != nil {
		t.Fatal(err)
	}
	status, start := 23, time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	end := jobrun.End{Reason: jobrun.ReasonExitStatus, Message: "exit status 23", ExitStatus: &status}
	want := jobrun.Record{Outcome: jobrun.NewOutcome("web-1")}
	want.AddAttempt(start, start.Add(5*time.Minute), end)
	want.Conclude(start, false, end)
	if diff := cmp.Diff(want.Outcome, records[0].Outcome); diff != "" {
		t.Errorf("the outcome (-want +got):\n%s", diff)
	}
	if line, err := marshalLine(records[0]); err != nil || string(line) != explained {
		t.Errorf("written again: %v\n got %s\nwant %s", err, line, explained)
	}
}

func TestReadNamesWhatIsWrongWithAnOutcome(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`"reason":"ExitStatus","message":"exit status 23","exitStatus":23,"signal":null,"host"`, `"host"`,
			`outcome.reason, outcome.message: must be null while run.concluded is false, and a text when it is true`},
		{`"concludedAt":"2020-12-08T11:52:08Z","reason"`, `"concludedAt":"2020-12-08T11:47:07Z","reason"`,
			`outcome.attempts[0].concludedAt: must not be before outcome.attempts[0].startedAt`},
		{`"reason":"ExitStatus"`, `"reason":"exit status"`, `outcome.reason: breaks the rule "pattern"`},
		{`"reason":"ExitStatus"`, `"reason":null`, `outcome.reason, outcome.message: must be null while run.concluded is false`},
		{`"exitStatus":23`, `"exitStatus":256`, `outcome.exitStatus: breaks the rule "maximum"`},
		{`"exitStatus":23`, `"exitStatus":23,"extra":1`, `outcome: breaks the rule "properties": property "extra" is unsupported`},
		{`"signal":null`, `"signal":"sigterm"`, `outcome.signal: breaks the rule "pattern"`},
		{`"host":"web-1"`, `"host":"web-1\u001b[2J"`, `outcome.host: breaks the rule "pattern"`},
		{`"host":"web-1"`, `"host":"web-1\u009b2J"`, `outcome.host: must not have the character U+009B`},
		{`"number":1`, `"number":0`, `outcome.attempts.0.number: breaks the rule "minimum"`},
		{`"number":1`, `"number":1,"extra":1`, `property "extra" is unsupported`},
		{`"attempts":[`, `"attempts":[` + strings.Repeat(explained[strings.Index(explained, `{"number"`):len(explained)-3]+",", 50),
			`outcome.attempts: breaks the rule "maxItems"`},
		{`"outcome":{`, `"outcome":null,"x":{`, `outcome: breaks the rule "nullable"`},
	} {
		text := strings.Replace(explained, test.old, test.new, 1)
		if _, err := readAll(newReader(t), strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v\nwant %q", test.new, err, test.want)
		}
	}
}
