// Package jsonlines reads runs that were recorded elsewhere from JSON Lines (https://jsonlines.org).
package jsonlines

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
)

// maxLine is how long a line may be, in bytes. A run within the contract takes less than 2 KiB.
const maxLine = 64 << 10

// line is the form of a line. The team is server.DefaultTeam where there is none.
type line[Run any] struct {
	TeamID    string `json:"teamId"`
	ProjectID string `json:"projectId"`
	JobID     string `json:"jobId"`
	Run       Run    `json:"run"`
}

// Marshal returns the line, without its end, that Read reads the record from.
func Marshal(r server.Record) ([]byte, error) {
	return json.Marshal(line[model.JobRun]{TeamID: r.Team, ProjectID: r.Project, JobID: r.Job, Run: r.Run})
}

// Reader reads runs and checks each against the contract.
type Reader struct {
	id, run *openapi3.Schema
}

// NewReader returns a reader that checks against the document.
// Returns an error if the document lacks a schema that it needs.
func NewReader(doc *openapi3.T) (*Reader, error) {
	id, run := doc.Components.Schemas["ID"], doc.Components.Schemas["JobRun"]
	if id == nil || run == nil {
		return nil, errors.New("the contract has no schema ID or none for JobRun")
	}
	return &Reader{id: id.Value, run: run.Value}, nil
}

// Read yields the run of each line that is not blank, and stops after the first error, which names the line and the
// rule that it breaks.
func (r *Reader) Read(from io.Reader) iter.Seq2[server.Record, error] {
	return func(yield func(server.Record, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(make([]byte, 0, 4<<10), maxLine)
		number := 0
		for lines.Scan() {
			number++
			text := bytes.TrimSpace(lines.Bytes())
			if len(text) == 0 {
				continue
			}
			record, err := r.parse(text)
			if err != nil {
				yield(server.Record{}, fmt.Errorf("line %d: %w", number, err))
				return
			}
			if !yield(record, nil) {
				return
			}
		}
		err := lines.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			yield(server.Record{}, fmt.Errorf("line %d: longer than %d bytes", number+1, maxLine))
		case err != nil:
			yield(server.Record{}, fmt.Errorf("after line %d: %w", number, err))
		}
	}
}

func (r *Reader) parse(text []byte) (server.Record, error) {
	var l line[json.RawMessage]
	if err := decode(text, &l); err != nil {
		return server.Record{}, err
	}
	l.TeamID = cmp.Or(l.TeamID, server.DefaultTeam)
	for _, part := range []struct{ name, value string }{{"teamId", l.TeamID}, {"projectId", l.ProjectID}, {"jobId", l.JobID}} {
		if err := r.id.VisitJSONString(part.value); err != nil {
			return server.Record{}, explain(part.name, err)
		}
	}
	if l.Run == nil {
		return server.Record{}, errors.New(`run: breaks the rule "required": it is missing`)
	}
	var any any
	if err := json.Unmarshal(l.Run, &any); err != nil {
		return server.Record{}, err
	}
	if err := r.run.VisitJSON(any); err != nil {
		return server.Record{}, explain("run", err)
	}
	record := server.Record{Team: l.TeamID, Project: l.ProjectID, Job: l.JobID}
	if err := decode(l.Run, &record.Run); err != nil {
		return server.Record{}, fmt.Errorf("run: %w", err)
	}
	if record.Run.Concluded != (record.Run.ConcludedAt != nil) {
		return server.Record{}, errors.New("run.concludedAt: null while concluded is false, a time when it is true")
	}
	return record, nil
}

// decode is strict: what is not part of the form would be lost.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New(jsonPrefix.ReplaceAllString(err.Error(), ""))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON object")
	}
	return nil
}

var jsonPrefix = regexp.MustCompile(`^json: `)

// explain names the field and the rule by its keyword in the document.
func explain(field string, err error) error {
	var broken *openapi3.SchemaError
	if !errors.As(err, &broken) {
		return fmt.Errorf("%s: %w", field, err)
	}
	for _, part := range broken.JSONPointer() {
		field += "." + part
	}
	// An allOf that only refers to another schema says nothing by itself.
	for inner := broken; errors.As(inner.Origin, &inner); {
		broken = inner
	}
	return fmt.Errorf("%s: breaks the rule %q: %s", field, broken.SchemaField, broken.Reason)
}
