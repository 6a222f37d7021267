package jsonlines

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// valid is a line within the contract, with the documented example as its run.
const valid = `{"teamId":"t","projectId":"p","jobId":"j","run":{"id":"d34582a4-35bd-4c71-8e7c-e36999b88723","active":0,` +
	`"backoffLimit":0,"completions":1,"concluded":true,"failed":0,"runName":"example-job-5fcf67bc56e1913e21d49504",` +
	`"status":"SUCCESS","succeeded":0,"startedAt":"2020-12-08T11:47:08Z","concludedAt":"2020-12-08T11:52:08Z"}}`

func newReader(t testing.TB) *Reader {
	t.Helper()
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	line, err := document.Object("the line", Required, Properties)
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(line.CheckJSON)
}

// readAll returns what was read before the first error, if there is one.
func readAll(r *Reader, from io.Reader) ([]jobrun.Record, error) {
	var records []jobrun.Record
	for record, err := range r.Read(from) {
		if err != nil {
			return records, err
		}
		records = append(records, record)
	}
	return records, nil
}

// marshalLine returns the line from which the record is read.
func marshalLine(r jobrun.Record) ([]byte, error) {
	return json.Marshal(jobrun.Line{TeamID: r.Team, ProjectID: r.Project, JobID: r.Job, Run: r.Run, Outcome: r.Outcome})
}

func TestReadReturnsWhatIsWritten(t *testing.T) {
	records, err := readAll(newReader(t),
		strings.NewReader("\n"+valid+"\r\n \t\n"+strings.Replace(valid, `"teamId":"t",`, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	concluded := time.Date(2020, 12, 8, 11, 52, 8, 0, time.UTC)
	want := jobrun.Record{Team: "t", Project: "p", Job: "j", Run: model.JobRun{
		ID:          "d34582a4-35bd-4c71-8e7c-e36999b88723",
		Completions: 1,
		Concluded:   true,
		Status:      model.JobRunStatusSuccess,
		RunName:     "example-job-5fcf67bc56e1913e21d49504",
		StartedAt:   concluded.Add(-5 * time.Minute),
		ConcludedAt: &concluded,
	}}
	unnamed := want
	unnamed.Team = jobrun.DefaultTeam
	if diff := cmp.Diff([]jobrun.Record{want, unnamed}, records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if line, err := marshalLine(want); err != nil || string(line) != valid {
		t.Errorf("written again: %v\n got %s\nwant %s", err, line, valid)
	}
}

func TestReadNamesTheLineAndTheRule(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`"active":0`, `"active":2`, `run.active: breaks the rule "enum"`},
		{`"active":0`, `"active":null`, `run.active: breaks the rule "enum"`},
		{`"active":0,`, ``, `run.active: breaks the rule "required"`},
		{`"active":0`, `"Active":0`, `breaks the rule`},
		{`"active":0`, `"active":0,"extra":1`, `run: breaks the rule "properties": property "extra" is unsupported`},
		{`"active":0`, `"active":0,"active":1`, `duplicate object member name "active"`},
		{`"teamId":"t"`, `"teamID":"t"`, `the line: breaks the rule "properties": property "teamID" is unsupported`},
		{`"teamId":"t"`, `"teamId":""`, `teamId: breaks the rule "minLength"`},
		{`"projectId":"p",`, ``, `projectId: breaks the rule "required"`},
		{`"projectId":"p"`, `"projectId":"a/b"`, `projectId: breaks the rule "pattern"`},
		{`"jobId":"j"`, `"jobId":"` + strings.Repeat("a", 254) + `"`, `jobId: breaks the rule "maxLength"`},
		{`"run":{`, `"run":[{`, `not JSON`},
		{`"completions":1`, `"completions":-1`, `run.completions: breaks the rule "minimum"`},
		{`"completions":1`, `"completions":1.5`, `run.completions: breaks the rule "type"`},
		{`"completions":1`, `"completions":1e30`, `completions`},
		{`"completions":1`, `"completions":"1"`, `run.completions: breaks the rule "type"`},
		{`"runName":"example`, `"runName":"\u202eexample`, `run.runName: must not have the character U+202E`},
		{`"concluded":true`, `"concluded":false`, `run.concludedAt: must be null while concluded is false`},
		{`"2020-12-08T11:52:08Z"`, `null`, `run.concludedAt: must be null while concluded is false`},
		{`,"concludedAt":"2020-12-08T11:52:08Z"`, ``, `run.concludedAt: must be null while concluded is false`},
		{`"2020-12-08T11:52:08Z"`, `"2020-12-08T11:47:07Z"`, `run.concludedAt: must not be before run.startedAt`},
		{`"2020-12-08T11:52:08Z"`, `""`, `run.concludedAt: breaks the rule`},
		{`T11:47:08Z`, `T11:47:08.5Z`, `run.startedAt: breaks the rule "maxLength"`},
		{`T11:47:08Z`, `T11:47:08+01:00`, `run.startedAt: breaks the rule "maxLength"`},
		{`"2020-12-08T11:47`, `"2020-02-30T11:47`, `run.startedAt: breaks the rule "format"`},
		{`SUCCESS`, `success`, `run.status: breaks the rule "enum"`},
		{`example-job-5fcf`, `a\u0000b`, `run.runName: breaks the rule "pattern"`},
		{valid, `{`, `not JSON`},
		{valid, `[]`, `the line: breaks the rule "type"`},
		{valid, `{"projectId":"p","jobId":"j","run":null}`, `run: breaks the rule "nullable"`},
		{valid, valid + "}", `not JSON`},
		{valid, valid + valid, `not JSON`},
		{valid, strings.Repeat("a", maxLine+1), "longer than 262144 bytes"},
	} {
		before := chunkLines + 3 // so that it is not the first chunk
		broken := strings.Replace(valid, test.old, test.new, 1)
		text := strings.Repeat(valid+"\n", before) + broken + "\n" + valid
		records, err := readAll(newReader(t), strings.NewReader(text))
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", before+1)) ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.new, err, test.want)
		}
		if len(records) != before {
			t.Errorf("%s: %d records before the error, want %d", test.new, len(records), before)
		}
	}
}

func TestReadTakesAMissingNullableFieldForNull(t *testing.T) {
	open := strings.NewReplacer(
		`"active":0`, `"active":1`, `"concluded":true`, `"concluded":false`, "SUCCESS", "RUNNING").Replace(valid)
	for _, test := range []struct{ full, without string }{
		{strings.Replace(open, `"2020-12-08T11:52:08Z"`, "null", 1),
			strings.Replace(open, `,"concludedAt":"2020-12-08T11:52:08Z"`, "", 1)},
		{strings.Replace(explained, `"host":"web-1"`, `"host":null`, 1),
			strings.NewReplacer(`,"signal":null`, "", `"host":"web-1",`, "").Replace(explained)},
	} {
		want, err := readAll(newReader(t), strings.NewReader(test.full))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(newReader(t), strings.NewReader(test.without))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.without, err, diff)
		}
	}
}

func TestReadSkipsByteOrderMarks(t *testing.T) {
	const mark = "\ufeff"
	records, err := readAll(newReader(t), strings.NewReader(mark+valid+"\n"+mark+"\n"+mark+valid))
	if err != nil || len(records) != 2 {
		t.Errorf("%d records, %v; want 2", len(records), err)
	}
}

func TestReadExplainsTheFormOfAFirstLineWithoutARun(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"runs\": [\n": "not JSON: ", // northflank get job runs -o json
		`{"runs":[]}`:        "the line: ",
		`{"data":{}}`:        "the line: ",
		"[\n":                "not JSON: ",
		"[]":                 "the line: ",
		"id,status\n":        "not JSON: ",
	} {
		_, err := readAll(newReader(t), strings.NewReader(text))
		if err == nil || !strings.HasPrefix(err.Error(), "line 1: "+want) ||
			!strings.Contains(err.Error(), "northflank get job runs --project P --job J --loadAll -o json --jq ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		valid + "\n{":     "line 2: not JSON: jsontext: unexpected EOF after offset 1",
		"\xff\xfe{\x00\n": "line 1: the text is UTF-16: convert it to UTF-8",
		"\xfe\xff\x00{\n": "line 1: the text is UTF-16: convert it to UTF-8",
		strings.Replace(valid, `"p"`, `"/"`, 1): `line 1: projectId: breaks the rule "pattern": ` +
			`string doesn't match the regular expression "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"`,
	} {
		if _, err := readAll(newReader(t), strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
	}
}

func TestReadKeepsTheOrder(t *testing.T) {
	const n = 10*chunkLines + 1
	var text strings.Builder
	for i := range n {
		text.WriteString(strings.Replace(valid, "d34582a4", fmt.Sprint(i), 1) + "\n")
	}
	records, err := readAll(newReader(t), strings.NewReader(text.String()))
	if err != nil || len(records) != n {
		t.Fatalf("%d records, %v; want %d", len(records), err, n)
	}
	for i, r := range records {
		if !strings.HasPrefix(r.Run.ID, fmt.Sprint(i)+"-") {
			t.Fatalf("record %d is run %s", i, r.Run.ID)
		}
	}
}

func TestReadPassesOnWhatCannotBeRead(t *testing.T) {
	failure := errors.New("the disk is gone")
	records, err := readAll(newReader(t), io.MultiReader(strings.NewReader(valid+"\n"), iotest.ErrReader(failure)))
	if !errors.Is(err, failure) || len(records) != 1 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestReadCanBeLeft(t *testing.T) {
	for _, err := range newReader(t).Read(strings.NewReader(strings.Repeat(valid+"\n", 100*chunkLines))) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

// FuzzRead checks that what is read is within the contract: it is the same after being written and
// read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(valid + "\n\n" + valid))
	f.Add([]byte(`{"projectId":"p","jobId":"j","run":{}}`))
	r := newReader(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := readAll(r, bytes.NewReader(text))
		if err != nil && !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("the error does not name the line: %v", err)
		}
		for _, record := range records {
			line, err := marshalLine(record)
			if err != nil {
				t.Fatal(err)
			}
			again, err := readAll(r, bytes.NewReader(line))
			if err != nil || len(again) != 1 || !cmp.Equal(again[0], record) {
				t.Errorf("%s\nread again: %v, %v", line, again, err)
			}
			if !json.Valid(line) {
				t.Errorf("not JSON: %s", line)
			}
		}
	})
}
