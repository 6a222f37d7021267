package contract

import (
	"reflect"
	"regexp"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// text is what a schema says of a string.
type text struct {
	minLength, maxLength int // in characters; maxLength is -1 for any
	pattern              *regexp.Regexp
}

// accepts reports whether the string certainly is within the rules. For ASCII the result is exact.
// If the length of other text matters, it returns false, and kin-openapi decides, which counts as
// JSON Schema does.
func (t *text) accepts(s string) bool {
	if t.minLength > 0 || t.maxLength >= 0 {
		if len(s) < t.minLength || t.maxLength >= 0 && len(s) > t.maxLength || !isASCII(s) {
			return false
		}
	}
	return t.pattern == nil || t.pattern.MatchString(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// prepareText returns what the schema says of a string, and false if it says more than of length
// and pattern: that is for kin-openapi to interpret.
func prepareText(schema *openapi3.Schema) (*text, bool) {
	if !only(
		schema,
		openapi3.TypeString,
		openapi3.Schema{MinLength: schema.MinLength, MaxLength: schema.MaxLength, Pattern: schema.Pattern},
	) {
		return nil, false
	}
	t := &text{minLength: int(schema.MinLength), maxLength: -1}
	if schema.MaxLength != nil {
		t.maxLength = int(*schema.MaxLength)
	}
	if schema.Pattern != "" {
		var err error
		if t.pattern, err = regexp.Compile(schema.Pattern); err != nil {
			return nil, false
		}
	}
	return t, true
}

// only reports whether the schema says no more than its type and what is in prepared.
func only(schema *openapi3.Schema, typ string, prepared openapi3.Schema) bool {
	rest := *schema
	// What makes no difference.
	rest.Title, rest.Description, rest.Example, rest.Default, rest.Extensions, rest.Origin = "", "", nil, nil, nil, nil
	if typ != "" && !schema.Type.Is(typ) {
		return false
	}
	rest.Type = nil
	return reflect.DeepEqual(rest, prepared)
}
