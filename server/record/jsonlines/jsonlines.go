// Package jsonlines reads runs that were recorded elsewhere from JSON Lines (https://jsonlines.org).
package jsonlines

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxLine is how long a line may be, in bytes. A run within the contract takes less than 4 KiB.
const maxLine = 64 << 10

// Reader reads runs and checks each against the contract.
type Reader struct {
	schema *openapi3.Schema // of a line
}

// NewReader returns a reader that checks against the document.
// Returns an error if the document lacks a schema that it needs.
func NewReader(doc *openapi3.T) (*Reader, error) {
	id, run := doc.Components.Schemas["ID"], doc.Components.Schemas["JobRun"]
	if id == nil || run == nil {
		return nil, errors.New("the contract lacks the schema ID or JobRun")
	}
	schema := openapi3.NewObjectSchema().
		WithPropertyRef("teamId", id).
		WithPropertyRef("projectId", id).
		WithPropertyRef("jobId", id).
		WithProperty("run", exactly(*run.Value)).
		WithRequired([]string{"projectId", "jobId", "run"})
	return &Reader{schema: exactly(*schema)}, nil
}

// exactly returns the schema without room for further properties: they would be lost. A property that only refers to
// another schema, by an allOf of one, is replaced by that schema, which takes half the time to check.
func exactly(schema openapi3.Schema) *openapi3.Schema {
	schema.Properties = maps.Clone(schema.Properties)
	for name, property := range schema.Properties {
		if p := property.Value; len(p.AllOf) == 1 && p.Type == nil && !p.Nullable {
			schema.Properties[name] = p.AllOf[0]
		}
	}
	return schema.WithoutAdditionalProperties()
}

// Read yields the run of each line that is not blank, and stops after the first error, which names the line and the
// rule that it breaks. It reads ahead, on all processors, while earlier runs are being dealt with.
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

// patterns has kin-openapi match by tables, which takes a good part of the time off a line.
var patterns = openapi3.SetSchemaRegexCompiler(func(expression string) (openapi3.RegexMatcher, error) {
	return contract.CompilePattern(expression)
})

func (r *Reader) parse(text []byte) (jobrun.Record, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return jobrun.Record{}, fmt.Errorf("not JSON: %w", err)
	}
	if err := r.schema.VisitJSON(value, patterns); err != nil {
		return jobrun.Record{}, explain(err)
	}
	var l jobrun.Line
	// What the schema lets through and the model does not: a day or a number that does not exist.
	if err := json.Unmarshal(text, &l); err != nil {
		return jobrun.Record{}, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if l.Run.Concluded != (l.Run.ConcludedAt != nil) {
		return jobrun.Record{}, errors.New("run.concludedAt: must be null while concluded is false, and a time when it is true")
	}
	team := cmp.Or(l.TeamID, jobrun.DefaultTeam)
	return jobrun.Record{Team: team, Project: l.ProjectID, Job: l.JobID, Run: l.Run}, nil
}

// explain names the field, and the rule by its keyword in the document.
func explain(err error) error {
	var broken *openapi3.SchemaError
	if !errors.As(err, &broken) {
		return err
	}
	field := cmp.Or(strings.Join(broken.JSONPointer(), "."), "the line")
	// An allOf that only refers to another schema says nothing by itself.
	for inner := broken; errors.As(inner.Origin, &inner); {
		broken = inner
	}
	return fmt.Errorf("%s: breaks the rule %q: %s", field, broken.SchemaField, broken.Reason)
}
