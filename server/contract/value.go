package contract

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// accepts reports whether a value, which can be addressed, certainly is within a schema once it is
// encoded as JSON.
type accepts func(reflect.Value) bool

// prepareType returns what accepts values of a generated type, or nil if kin-openapi has to
// interpret them: because the schema says something that is not prepared, or because the type
// contains itself.
func prepareType(ref *openapi3.SchemaRef, t reflect.Type) accepts {
	if containsItself(t, nil) {
		return nil
	}
	if accept, ok := prepareValue(ref, t); ok {
		return accept
	}
	return nil
}

// containsItself reports whether a type has values of one of the outer types, or a part of it of
// itself.
func containsItself(t reflect.Type, outer []reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return containsItself(t.Elem(), outer)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return false
		}
		if slices.Contains(outer, t) {
			return true
		}
		outer = append(outer[:len(outer):len(outer)], t)
		for i := range t.NumField() {
			if containsItself(t.Field(i).Type, outer) {
				return true
			}
		}
	}
	return false
}

// prepareValue returns what the schema says of values of a generated type, and false if it says
// something that is not prepared: that is for kin-openapi to interpret.
func prepareValue(ref *openapi3.SchemaRef, t reflect.Type) (accepts, bool) {
	schema := ref.Value
	if t.Kind() == reflect.Pointer {
		return preparePointer(schema, t)
	}
	if len(schema.AllOf) > 0 {
		return prepareAll(schema, t)
	}
	if t == reflect.TypeFor[time.Time]() {
		return prepareTime(schema)
	}
	if marshaler := reflect.TypeFor[json.Marshaler](); t.Implements(marshaler) ||
		reflect.PointerTo(t).Implements(marshaler) {
		return nil, false
	}
	switch t.Kind() {
	case reflect.Struct:
		return prepareStruct(schema, t)
	case reflect.Slice:
		return prepareSlice(schema, t)
	case reflect.Map:
		return prepareMap(schema, t)
	case reflect.String:
		if len(schema.Enum) > 0 {
			return prepareEnum(schema, openapi3.TypeString, reflect.Value.String)
		}
		text, ok := prepareText(schema)
		return func(v reflect.Value) bool { return text.accepts(v.String()) }, ok
	case reflect.Int, reflect.Int32, reflect.Int64:
		number := func(v reflect.Value) float64 { return float64(v.Int()) } // as kin-openapi does
		if len(schema.Enum) > 0 {
			return prepareEnum(schema, openapi3.TypeInteger, number)
		}
		return prepareNumber(schema, openapi3.TypeInteger, number)
	case reflect.Float64: // a float32 is written with fewer digits than it has
		return prepareNumber(schema, openapi3.TypeNumber, reflect.Value.Float)
	case reflect.Bool:
		return func(reflect.Value) bool { return true }, only(schema, openapi3.TypeBoolean, openapi3.Schema{})
	}
	return nil, false
}

// preparePointer is for what may be null, or be left out.
func preparePointer(schema *openapi3.Schema, t reflect.Type) (accepts, bool) {
	value := *schema
	value.Nullable = false
	inner, ok := prepareValue(&openapi3.SchemaRef{Value: &value}, t.Elem())
	nullable := schema.Nullable
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
		index   int
		leftOut func(reflect.Value) bool // nil if it is always written
		accepts accepts
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
		leftOut := omission(options)
		fields = append(fields, field{i, leftOut, prepared})
		if leftOut == nil {
			missing = slices.DeleteFunc(missing, func(required string) bool { return required == name })
		}
	}
	return func(v reflect.Value) bool {
		for i := range fields {
			value := v.Field(fields[i].index)
			if leftOut := fields[i].leftOut; leftOut != nil && leftOut(value) {
				continue
			}
			if !fields[i].accepts(value) {
				return false
			}
		}
		return true
	}, len(missing) == 0
}

// omission returns which values encoding/json leaves out, by the options of a field's tag; nil for
// none.
func omission(options string) func(reflect.Value) bool {
	empty, zero := strings.Contains(options, "omitempty"), strings.Contains(options, "omitzero")
	if !empty && !zero {
		return nil
	}
	return func(v reflect.Value) bool {
		switch kind := v.Kind(); {
		case zero && v.IsZero():
			return true
		case kind == reflect.Struct:
			return false
		case kind == reflect.Slice || kind == reflect.Map:
			return empty && v.Len() == 0
		}
		return empty && v.IsZero()
	}
}

func prepareSlice(schema *openapi3.Schema, t reflect.Type) (accepts, bool) {
	if schema.Items == nil || t.Elem().Kind() == reflect.Uint8 || // bytes are encoded as a string
		!only(
			schema,
			openapi3.TypeArray,
			openapi3.Schema{Items: schema.Items, MinItems: schema.MinItems, MaxItems: schema.MaxItems},
		) {
		return nil, false
	}
	item, ok := prepareValue(schema.Items, t.Elem())
	return func(v reflect.Value) bool {
		n := uint64(v.Len())
		if v.IsNil() || n < schema.MinItems || schema.MaxItems != nil && n > *schema.MaxItems {
			return false
		}
		for i := range v.Len() {
			if !item(v.Index(i)) {
				return false
			}
		}
		return true
	}, ok
}

// prepareMap is for objects without properties of their own.
func prepareMap(schema *openapi3.Schema, t reflect.Type) (accepts, bool) {
	extra := schema.AdditionalProperties
	if t.Key().Kind() != reflect.String ||
		!only(schema, openapi3.TypeObject, openapi3.Schema{AdditionalProperties: extra}) {
		return nil, false
	}
	if extra.Schema == nil { // anything, but encoding/json may write what it likes
		return func(v reflect.Value) bool { return v.Len() == 0 && !v.IsNil() }, extra.Has == nil || *extra.Has
	}
	item, ok := prepareValue(extra.Schema, t.Elem())
	return func(v reflect.Value) bool {
		if v.IsNil() {
			return false
		}
		value := reflect.New(t.Elem()).Elem() // values of a map cannot be addressed
		for entries := v.MapRange(); entries.Next(); {
			value.Set(entries.Value())
			if !item(value) {
				return false
			}
		}
		return true
	}, ok
}

func prepareEnum[T comparable](schema *openapi3.Schema, typ string, of func(reflect.Value) T) (accepts, bool) {
	allowed := make([]T, len(schema.Enum))
	for i, value := range schema.Enum {
		var ok bool
		if allowed[i], ok = value.(T); !ok {
			return nil, false
		}
	}
	return func(v reflect.Value) bool { return slices.Contains(allowed, of(v)) },
		only(schema, typ, openapi3.Schema{Enum: schema.Enum})
}

func prepareNumber(schema *openapi3.Schema, typ string, of func(reflect.Value) float64) (accepts, bool) {
	least, most := math.Inf(-1), math.Inf(1)
	if schema.Min != nil {
		least = *schema.Min
	}
	if schema.Max != nil {
		most = *schema.Max
	}
	return func(v reflect.Value) bool {
		n := of(v)
		return least <= n && n <= most
	}, only(schema, typ, openapi3.Schema{Min: schema.Min, Max: schema.Max})
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
		return text.accepts(string(v.Addr().Interface().(*time.Time).AppendFormat(space[:0], time.RFC3339Nano)))
	}, ok
}
