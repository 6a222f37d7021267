package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxDepth is how deep the values of a JSON text may be nested.
const maxDepth = 100

// decodeJSON decodes a single JSON value. It refuses what two readers may take for different
// values: a name that occurs twice in an object, text that is not UTF-8, and a second value. The
// decoder is json.Unmarshal or decodeNumbers.
func decodeJSON(text []byte, decode func([]byte, any) error) (any, *Violation) {
	refuse := func(reason string) (any, *Violation) {
		return nil, &Violation{Rule: "type", Reason: reason, malformed: true}
	}
	if !utf8.Valid(text) {
		return refuse("the JSON is not UTF-8")
	}
	var value any
	if err := decode(text, &value); err != nil {
		return refuse("not JSON: " + err.Error())
	}
	names, depth := measure(value, 0)
	if depth > maxDepth {
		return refuse(fmt.Sprintf("the JSON is nested deeper than %d levels", maxDepth))
	}
	if names != countNames(text) {
		return refuse(fmt.Sprintf("the name %q occurs twice in an object", repeatedName(text)))
	}
	return value, nil
}

// decodeNumbers is json.Unmarshal with numbers as json.Number, as they are written.
func decodeNumbers(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(value); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// measure returns how many names the objects in a value have, and how deep it is nested.
func measure(value any, depth int) (names, deepest int) {
	deepest = depth
	add := func(inner any) {
		n, d := measure(inner, depth+1)
		names, deepest = names+n, max(deepest, d)
	}
	switch v := value.(type) {
	case map[string]any:
		names = len(v)
		for _, inner := range v {
			add(inner)
		}
	case []any:
		for _, inner := range v {
			add(inner)
		}
	}
	return names, deepest
}

// countNames returns how many names the objects in a valid JSON text have: as many as there are
// colons outside of strings.
func countNames(text []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && text[i] == ':':
			n++
		}
	}
	return n
}

// repeatedName returns a name that occurs twice in an object of a valid JSON text.
func repeatedName(text []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var objects []map[string]bool // nil for an array
	name := false                 // whether a name comes next
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if key, ok := token.(string); ok && name {
			names := objects[len(objects)-1]
			if names[key] {
				return key
			}
			names[key], name = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			objects = append(objects, map[string]bool{})
		case json.Delim('['):
			objects = append(objects, nil)
		case json.Delim('}'), json.Delim(']'):
			objects = objects[:len(objects)-1]
		}
		name = len(objects) > 0 && objects[len(objects)-1] != nil
	}
}

// readable finds what encoding/json would read in another way than a schema that accepts the value:
// a name that differs from a property's by case only, and a number or a time that the Go type does
// not take. Returns nil if there is nothing.
func readable(value any, schema *openapi3.Schema, keys []string) *Violation {
	if schema == nil {
		return nil
	}
	if v := readableParts(value, schema, keys); v != nil {
		return v
	}
	refuse := func(rule, reason string) *Violation {
		return &Violation{Pointer: pointer(keys), Rule: rule, Reason: reason}
	}
	switch v := value.(type) {
	case map[string]any:
		return readableObject(v, schema, keys)
	case []any:
		for i, inner := range v {
			if schema.Items == nil {
				break
			}
			if violation := readable(
				inner,
				schema.Items.Value,
				append(keys[:len(keys):len(keys)], strconv.Itoa(i)),
			); violation != nil {
				return violation
			}
		}
	case json.Number:
		switch bits := intBits(schema); typeOf(schema) {
		case openapi3.TypeInteger:
			if _, err := strconv.ParseInt(v.String(), 10, bits); err != nil {
				return refuse(
					"type",
					"value must be an integer, without fraction or exponent, of "+strconv.Itoa(bits)+" bits",
				)
			}
		case openapi3.TypeNumber:
			if _, err := strconv.ParseFloat(v.String(), floatBits(schema)); err != nil {
				return refuse("type", "the number is too large")
			}
		}
	case string:
		if _, err := time.Parse(time.RFC3339, v); err != nil && schema.Format == "date-time" {
			return refuse("format", "value must be a date-time of RFC 3339")
		}
	}
	return nil
}

// readableParts checks the parts of a schema: all of an allOf, and of the others one that accepts
// the value.
func readableParts(value any, schema *openapi3.Schema, keys []string) *Violation {
	for _, part := range schema.AllOf {
		if v := readable(value, part.Value, keys); v != nil {
			return v
		}
	}
	for _, choice := range []openapi3.SchemaRefs{schema.AnyOf, schema.OneOf} {
		var violation *Violation
		for _, part := range choice {
			if part.Value.VisitJSON(value) != nil {
				continue
			}
			if violation = readable(value, part.Value, keys); violation == nil {
				break
			}
		}
		if violation != nil {
			return violation
		}
	}
	return nil
}

func readableObject(object map[string]any, schema *openapi3.Schema, keys []string) *Violation {
	for name, inner := range object {
		at := append(keys[:len(keys):len(keys)], name)
		property, declared := schema.Properties[name]
		if !declared {
			for other := range schema.Properties {
				if strings.EqualFold(name, other) {
					return &Violation{
						Pointer: pointer(at),
						Rule:    "properties",
						Reason:  fmt.Sprintf("the property is written %q", other),
					}
				}
			}
			property = schema.AdditionalProperties.Schema
		}
		if property == nil {
			continue
		}
		if violation := readable(inner, property.Value, at); violation != nil {
			return violation
		}
	}
	return nil
}
