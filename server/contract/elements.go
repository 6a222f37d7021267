package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// violationsOf returns the value of a JSON text, and all that is wrong with it.
func violationsOf(schema *openapi3.Schema, body []byte) (value any, violations []*Violation) {
	if err := json.Unmarshal(body, &value); err != nil {
		return nil, []*Violation{explain(err)}
	}
	err := schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors())
	for _, one := range flatten(err) {
		violations = append(violations, explain(one))
	}
	return value, violations
}

// flatten returns the errors that are in one.
func flatten(err error) (all []error) {
	var several openapi3.MultiError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &several):
		return []error{err}
	}
	for _, one := range several {
		all = append(all, flatten(one)...)
	}
	return all
}

// dropElements returns the body without the objects in arrays that break the schema, and why they
// do. Returns a [*Violation] if anything else breaks it.
func dropElements(schema *openapi3.Schema, body []byte) (kept []byte, dropped []error, err error) {
	for {
		value, violations := violationsOf(schema, body)
		if len(violations) == 0 {
			return body, dropped, nil
		}
		broken := map[string]element{}
		for _, violation := range violations {
			e, ok := elementAt(value, violation.Pointer)
			if !ok {
				return nil, nil, violation.in(inResponse)
			}
			e.violation = violation.in(inResponse)
			broken[e.array+"/"+strconv.Itoa(e.index)] = e
		}
		elements := make([]element, 0, len(broken))
		for _, e := range broken {
			elements = append(elements, e)
		}
		// The last of an array first, so that the others keep their places.
		slices.SortFunc(elements, func(a, b element) int {
			return cmp.Or(cmp.Compare(a.array, b.array), cmp.Compare(b.index, a.index))
		})
		for _, e := range elements {
			if body, err = e.cut(body); err != nil {
				return nil, nil, err
			}
			dropped = append(dropped, e.violation)
		}
	}
}

// element is an object in an array.
type element struct {
	array     string // JSON pointer
	index     int
	violation *Violation // what is wrong with it
}

// elementAt returns the outermost object in an array that the pointer leads into, and false if it
// leads into none.
func elementAt(value any, pointer string) (element, bool) {
	array := ""
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch v := value.(type) {
		case map[string]any:
			value = v[unescapePointer.Replace(key)]
		case []any:
			index, err := strconv.Atoi(key)
			if err != nil || index < 0 || index >= len(v) {
				return element{}, false
			}
			if _, ok := v[index].(map[string]any); ok {
				return element{array: array, index: index}, true
			}
			value = v[index]
		default:
			return element{}, false
		}
		array += "/" + key
	}
	return element{}, false
}

// cut returns the JSON text without the element. The rest stays as it is written.
func (e element) cut(text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for key := range strings.SplitSeq(strings.TrimPrefix(e.array, "/"), "/") {
		if err := enter(decoder, key); err != nil {
			return nil, err
		}
	}
	if e.array != "" {
		if _, err := decoder.Token(); err != nil { // the array begins
			return nil, err
		}
	}
	var skipped json.RawMessage
	begin, end := decoder.InputOffset(), decoder.InputOffset()
	for range e.index + 1 {
		begin = end
		if err := decoder.Decode(&skipped); err != nil {
			return nil, err
		}
		end = decoder.InputOffset()
	}
	if e.index == 0 && decoder.More() { // the comma before another one, or the one after the first
		end += int64(bytes.IndexByte(text[end:], ',')) + 1
	}
	return slices.Concat(text[:begin], text[end:]), nil
}

// enter moves into an object or an array, to the value of that key.
func enter(decoder *json.Decoder, key string) error {
	opening, err := decoder.Token()
	if err != nil || opening == json.Delim('[') && key == "" {
		return err
	}
	var skipped json.RawMessage
	for index := 0; ; index++ {
		name := strconv.Itoa(index)
		if opening == json.Delim('{') {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ = token.(string)
		}
		if name == unescapePointer.Replace(key) {
			return nil
		}
		if err := decoder.Decode(&skipped); err != nil {
			return err
		}
	}
}
