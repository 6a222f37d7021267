package contract

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// scalars are the types whose values stand in a path, a header or a query as they are.
var scalars = []string{openapi3.TypeString, openapi3.TypeInteger, openapi3.TypeNumber, openapi3.TypeBoolean}

// typeOf returns the type of a schema, which may be in a part of it.
func typeOf(schema *openapi3.Schema) string {
	if types := schema.Type.Slice(); len(types) == 1 {
		return types[0]
	}
	for _, part := range schema.AllOf {
		if t := typeOf(part.Value); t != "" {
			return t
		}
	}
	return ""
}

// formatOf returns the format of a schema, which may be in a part of it.
func formatOf(schema *openapi3.Schema) string {
	if schema.Format != "" {
		return schema.Format
	}
	for _, part := range schema.AllOf {
		if f := formatOf(part.Value); f != "" {
			return f
		}
	}
	return ""
}

// decimal is the one spelling of a number in a parameter.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// floatBits returns the size of the type that oapi-codegen makes of a number.
func floatBits(schema *openapi3.Schema) int {
	if formatOf(schema) == "double" {
		return 64
	}
	return 32
}

// intBits returns the size of the type that oapi-codegen makes of an integer, which is int without
// a format.
func intBits(schema *openapi3.Schema) int {
	if formatOf(schema) == "int32" {
		return 32
	}
	return 64
}

// decodeScalar returns the value as JSON has it. It takes only one spelling of a number or a
// boolean, which generated code reads the same way: no sign before a positive number, no space, no
// other base.
func decodeScalar(schema *openapi3.Schema, value string) (any, *Violation) {
	refuse := func(rule, reason string) (any, *Violation) { return nil, &Violation{Rule: rule, Reason: reason} }
	switch typeOf(schema) {
	case openapi3.TypeInteger:
		n, err := strconv.ParseInt(value, 10, intBits(schema))
		switch {
		case errors.Is(err, strconv.ErrRange) && strings.HasPrefix(value, "-"):
			return refuse("minimum", "the number is too small")
		case errors.Is(err, strconv.ErrRange):
			return refuse("maximum", "the number is too large")
		case err != nil || strconv.FormatInt(n, 10) != value:
			return refuse("type", "value must be an integer")
		}
		return n, nil
	case openapi3.TypeNumber:
		n, err := strconv.ParseFloat(value, floatBits(schema))
		switch {
		case !decimal.MatchString(value):
			return refuse("type", "value must be a decimal number")
		case err != nil && strings.HasPrefix(value, "-"):
			return refuse("minimum", "the number is too small")
		case err != nil:
			return refuse("maximum", "the number is too large")
		}
		return n, nil
	case openapi3.TypeBoolean:
		if value != "true" && value != "false" {
			return refuse("type", "value must be true or false")
		}
		return value == "true", nil
	}
	if formatOf(schema) == "date-time" {
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return refuse("format", "value must be a date-time of RFC 3339")
		}
	}
	return value, nil
}
