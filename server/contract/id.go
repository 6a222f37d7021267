package contract

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/jobruns/jobruns"
)

// ID returns what the contract says of the IDs of teams, projects, jobs and runs. It reads only that part of openapi.yaml,
// in a fiftieth of the time that the whole takes.
// Returns an error if it is not there.
func ID() (*Text, error) {
	_, schemas, found := bytes.Cut(jobruns.Document, []byte("\n  schemas:\n"))
	if !found {
		return nil, errors.New("the contract has no schemas")
	}
	_, block, found := bytes.Cut(schemas, []byte("    ID:\n"))
	if !found {
		return nil, errors.New("the contract has no schema ID")
	}
	end := 0
	for line := range bytes.Lines(block) {
		if !bytes.HasPrefix(line, []byte("      ")) {
			break
		}
		end += len(line)
	}
	var schema struct {
		Description string
		MinLength   int `yaml:"minLength"`
		MaxLength   int `yaml:"maxLength"`
		Pattern     string
	}
	if err := yaml.Unmarshal(block[:end], &schema); err != nil {
		return nil, fmt.Errorf("the contract: the schema ID: %w", err)
	}
	pattern, err := CompilePattern(schema.Pattern)
	if err != nil {
		return nil, fmt.Errorf("the contract: the schema ID: %w", err)
	}
	return &Text{schema.Description, schema.MinLength, schema.MaxLength, pattern}, nil
}
