// Package contract checks strings against the rules of the contract, openapi.yaml, prepared once so that a check costs
// next to nothing.
package contract

import (
	"reflect"

	"github.com/getkin/kin-openapi/openapi3"
)

// Text checks strings against a schema.
type Text struct {
	minLength, maxLength int // in characters; maxLength is -1 for any
	pattern              *Pattern
}

// PrepareText returns the checks that the schema makes of a string, and false if it makes others than of length and
// pattern: those are for [openapi3.Schema] to make.
func PrepareText(schema *openapi3.Schema) (Text, bool) {
	rest := *schema
	// What makes no difference.
	rest.Title, rest.Description, rest.Example, rest.Extensions, rest.Origin = "", "", nil, nil, nil
	// What is prepared.
	rest.Type, rest.MinLength, rest.MaxLength, rest.Pattern = nil, 0, nil, ""
	if !schema.Type.Is(openapi3.TypeString) || !reflect.DeepEqual(rest, openapi3.Schema{}) {
		return Text{}, false
	}
	t := Text{minLength: int(schema.MinLength), maxLength: -1}
	if schema.MaxLength != nil {
		t.maxLength = int(*schema.MaxLength)
	}
	if schema.Pattern != "" {
		var err error
		if t.pattern, err = CompilePattern(schema.Pattern); err != nil {
			return Text{}, false
		}
	}
	return t, true
}

// Accepts reports whether the schema certainly allows the string. Of one in ASCII that is so if and only if it does;
// what counts as a character of others is for [openapi3.Schema] to say.
func (t *Text) Accepts(s string) bool {
	if t.minLength > 0 || t.maxLength >= 0 {
		if len(s) < t.minLength || t.maxLength >= 0 && len(s) > t.maxLength || !ascii(s) {
			return false
		}
	}
	return t.pattern == nil || t.pattern.MatchString(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= asciiSize {
			return false
		}
	}
	return true
}
