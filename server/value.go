package server

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// accepts reports whether a value, which can be addressed, certainly is within a schema once it is encoded as JSON.
type accepts func(reflect.Value) bool

// prepareValue returns what the schema says of values of the generated type, and false if it says something that is not
// prepared: that is for kin-openapi to interpret.
func prepareValue(ref *openapi3.SchemaRef, t reflect.Type) (accepts, bool) {
	schema := ref.Value
	if t.Kind() == reflect.Pointer {
		return preparePointer(ref, t)
	}
	if len(schema.AllOf) > 0 {
		return prepareAll(schema, t)
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return prepareTime(schema)
	case t.Kind() == reflect.Struct:
		return prepareStruct(schema, t)
	case t.Kind() == reflect.String && len(schema.Enum) > 0:
		return prepareEnum(schema, reflect.Value.String)
	case t.Kind() == reflect.String:
		text, ok := prepareText(schema)
		return func(v reflect.Value) bool { return text.Accepts(v.String()) }, ok
	case t.Kind() == reflect.Int && len(schema.Enum) > 0:
		return prepareEnum(schema, func(v reflect.Value) float64 { return float64(v.Int()) })
	case t.Kind() == reflect.Int:
		return prepareInt(schema)
	case t.Kind() == reflect.Bool:
		return func(reflect.Value) bool { return true }, only(schema, openapi3.TypeBoolean, openapi3.Schema{})
	}
	return nil, false
}

// only reports whether the schema says no more than its type and what is in prepared.
func only(schema *openapi3.Schema, typ string, prepared openapi3.Schema) bool {
	rest := *schema
	// What makes no difference.
	rest.Title, rest.Description, rest.Example, rest.Extensions, rest.Origin = "", "", nil, nil, nil
	if typ != "" && !schema.Type.Is(typ) {
		return false
	}
	rest.Type = nil
	return reflect.DeepEqual(rest, prepared)
}

// preparePointer is for what may be null, or be left out.
func preparePointer(ref *openapi3.SchemaRef, t reflect.Type) (accepts, bool) {
	value := *ref.Value
	value.Nullable = false
	inner, ok := prepareValue(&openapi3.SchemaRef{Value: &value}, t.Elem())
	nullable := ref.Value.Nullable
	return func(v reflect.Value) bool {
		if v.IsNil() {
			return nullable
		}
		return inner(v.Elem())
	}, ok
}

func prepareAll(schema *openapi3.Schema, t reflect.Type) (accepts, bool) {
	var all []accepts
	for _, part := range schema.AllOf {
		prepared, ok := prepareValue(part, t)
		if !ok {
			return nil, false
		}
		all = append(all, prepared)
	}
	return func(v reflect.Value) bool {
		return !slices.ContainsFunc(all, func(accepts accepts) bool { return !accepts(v) })
	}, only(schema, "", openapi3.Schema{AllOf: schema.AllOf})
}

// prepareStruct goes by the names that encoding/json gives to fields.
func prepareStruct(schema *openapi3.Schema, t reflect.Type) (accepts, bool) {
	if !only(schema, openapi3.TypeObject, openapi3.Schema{Properties: schema.Properties, Required: schema.Required}) {
		return nil, false
	}
	type field struct {
		index    int
		optional bool // left out where it is the zero value
		accepts  accepts
	}
	var fields []field
	missing := slices.Clone(schema.Required)
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		property := schema.Properties[name]
		if property == nil || property.Value.WriteOnly {
			return nil, false
		}
		prepared, ok := prepareValue(property, t.Field(i).Type)
		if !ok {
			return nil, false
		}
		optional := strings.Contains(options, "omit")
		fields = append(fields, field{i, optional, prepared})
		if !optional {
			missing = slices.DeleteFunc(missing, func(required string) bool { return required == name })
		}
	}
	return func(v reflect.Value) bool {
		for i := range fields {
			value := v.Field(fields[i].index)
			if leftOut := fields[i].optional && value.IsZero(); !leftOut && !fields[i].accepts(value) {
				return false
			}
		}
		return true
	}, len(missing) == 0
}

func prepareEnum[T comparable](schema *openapi3.Schema, of func(reflect.Value) T) (accepts, bool) {
	allowed := make([]T, len(schema.Enum))
	for i, value := range schema.Enum {
		var ok bool
		if allowed[i], ok = value.(T); !ok {
			return nil, false
		}
	}
	typ := openapi3.TypeString
	if reflect.TypeFor[T]().Kind() != reflect.String {
		typ = openapi3.TypeInteger
	}
	return func(v reflect.Value) bool { return slices.Contains(allowed, of(v)) },
		only(schema, typ, openapi3.Schema{Enum: schema.Enum})
}

func prepareInt(schema *openapi3.Schema) (accepts, bool) {
	return func(v reflect.Value) bool {
		n := float64(v.Int()) // as kin-openapi does
		return (schema.Min == nil || n >= *schema.Min) && (schema.Max == nil || n <= *schema.Max)
	}, only(schema, openapi3.TypeInteger, openapi3.Schema{Min: schema.Min, Max: schema.Max})
}

// prepareTime is for times, which are encoded as RFC 3339 wants it.
func prepareTime(schema *openapi3.Schema) (accepts, bool) {
	if schema.Format != "date-time" {
		return nil, false
	}
	written := *schema
	written.Format = ""
	text, ok := prepareText(&written)
	return func(v reflect.Value) bool {
		var space [len(time.RFC3339Nano)]byte
		return text.Accepts(string(v.Addr().Interface().(*time.Time).AppendFormat(space[:0], time.RFC3339Nano)))
	}, ok
}
