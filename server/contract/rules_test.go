package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns"
	"github.com/jobruns/jobruns/gen/model"
)

// TestContractRules checks openapi.yaml, as it is written, against OpenAPI and against our own
// rules.
func TestContractRules(t *testing.T) {
	r := rules{t}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(jobruns.Document)
	if err == nil {
		err = doc.Validate(loader.Context) // the examples too
	}
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(doc.Info.Version) {
		r.Errorf("info.version %q is not MAJOR.MINOR.PATCH", doc.Info.Version)
	}
	for path, item := range doc.Paths.Map() {
		for _, parameter := range item.Parameters {
			r.checkParameter(path, parameter.Value)
		}
		for method, op := range item.Operations() {
			r.checkOperation(method+" "+path, op)
		}
	}
	for name, parameter := range doc.Components.Parameters {
		r.checkParameter(name, parameter.Value)
	}
	for name, schema := range doc.Components.Schemas {
		r.checkSchema("schema "+name, schema)
	}
}

// rules checks parts of the document.
type rules struct{ *testing.T }

func (r rules) checkOperation(route string, op *openapi3.Operation) {
	name := op.OperationID
	if name == "" {
		r.Errorf("%s: no operationId", route)
		name = route
	}
	if op.Summary == "" {
		r.Errorf("%s: no summary", name)
	}
	_, permission := op.Extensions["x-required-permission"]
	// [] says that no token is needed, and [bearer: []] that any token will do.
	if !permission && op.Security == nil {
		r.Errorf("%s: neither x-required-permission nor a security of its own", name)
	}
	wanted := []string{"405", "500", "default"}
	if op.Security == nil || len(*op.Security) > 0 {
		wanted = append(wanted, "400", "401", "429", "503")
	}
	if permission {
		wanted = append(wanted, "403", "404")
	}
	for _, status := range wanted {
		if op.Responses.Value(status) == nil {
			r.Errorf("%s: no response %s", name, status)
		}
	}
	for status, response := range op.Responses.Map() {
		if !strings.HasPrefix(status, "2") && response.Ref == "" {
			r.Errorf("%s: the response %s is not shared", name, status)
		}
		if response.Value != nil {
			r.checkResponse(name, status, response)
		}
	}
	for _, parameter := range op.Parameters {
		r.checkParameter(name, parameter.Value)
	}
	if _, err := prepareBody(op); err != nil {
		r.Errorf("%s: %v", name, err)
	} else if op.RequestBody != nil {
		r.checkBody(name+": body", op.RequestBody.Value.Content[jsonMediaType].Schema.Value)
	}
}

// checkBody checks that the size of every value in a body is bounded.
func (r rules) checkBody(where string, schema *openapi3.Schema) {
	switch {
	case schema.Type.Is(openapi3.TypeObject):
		if has := schema.AdditionalProperties.Has; has == nil || *has {
			r.Errorf("%s: an object that is not closed", where)
		}
		for name, property := range schema.Properties {
			r.checkBody(where+": "+name, property.Value)
		}
	case schema.Type.Is(openapi3.TypeArray):
		r.checkBounds(where, schema)
		r.checkBody(where, schema.Items.Value)
	case schema.Type.Is(openapi3.TypeString) && schema.MaxLength == nil && len(schema.Enum) == 0:
		r.Errorf("%s: a string without maxLength", where)
	case schema.Type.Is(openapi3.TypeInteger) || schema.Type.Is(openapi3.TypeNumber):
		if schema.Min == nil || schema.Max == nil {
			r.Errorf("%s: a number without minimum and maximum", where)
		}
	}
	for _, part := range slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf) {
		r.checkBody(where, part.Value)
	}
}

func (r rules) checkParameter(where string, parameter *openapi3.Parameter) {
	if parameter != nil && parameter.Schema != nil && parameter.Schema.Value != nil {
		place, schema := fmt.Sprintf("%s: parameter %s", where, parameter.Name), parameter.Schema.Value
		r.checkBounds(place, schema)
		if typeOf(schema) == openapi3.TypeArray && schema.Items != nil {
			schema = schema.Items.Value
		}
		has := func(bound func(*openapi3.Schema) bool) bool {
			return bound(schema) ||
				slices.ContainsFunc(schema.AllOf, func(part *openapi3.SchemaRef) bool { return bound(part.Value) })
		}
		if typeOf(schema) == openapi3.TypeInteger && !(has(func(s *openapi3.Schema) bool { return s.Min != nil }) &&
			has(func(s *openapi3.Schema) bool { return s.Max != nil })) {
			r.Errorf("%s: an integer without minimum and maximum", place)
		}
	}
	if parameter != nil && (parameter.Description == "" || parameter.Example == nil) {
		r.Errorf("%s: parameter %s: no example or no description", where, parameter.Name)
	}
}

func (r rules) checkResponse(operation, status string, response *openapi3.ResponseRef) {
	where := fmt.Sprintf("%s: response %s", operation, status)
	if !strings.HasPrefix(status, "2") && status != "304" { // which has no body
		media := response.Value.Content.Get("application/json")
		if media == nil || media.Schema == nil || media.Schema.Ref != "#/components/schemas/ErrorResult" {
			r.Errorf("%s: its schema is not ErrorResult", where)
			return
		}
		var example struct{ Error model.Error }
		text, err := json.Marshal(media.Example)
		if err == nil {
			err = json.Unmarshal(text, &example)
		}
		if number, _ := strconv.Atoi(status); err != nil || number != 0 && number != example.Error.Status {
			r.Errorf("%s: the example has the status %d (%v)", where, example.Error.Status, err)
		}
	}
	for _, media := range response.Value.Content {
		if media.Schema == nil || media.Schema.Value == nil {
			r.Errorf("%s: no schema", where)
			continue
		}
		if len(media.Schema.Value.Properties) > 0 && media.Example == nil {
			r.Errorf("%s: no example", where)
		}
		r.checkSchema(where, media.Schema)
	}
}

// checkBounds checks that a list has a greatest length.
func (r rules) checkBounds(where string, schema *openapi3.Schema) {
	if schema.Type.Is(openapi3.TypeArray) && schema.MaxItems == nil {
		r.Errorf("%s: a list without maxItems", where)
	}
}

// checkSchema checks a schema where it is written.
func (r rules) checkSchema(where string, schema *openapi3.SchemaRef) {
	if schema == nil || schema.Ref != "" || schema.Value == nil {
		return
	}
	r.checkBounds(where, schema.Value)
	for name, property := range schema.Value.Properties {
		if property.Value != nil && property.Value.Description == "" {
			r.Errorf("%s: property %s: no description", where, name)
		}
		r.checkSchema(where+": property "+name, property)
	}
	r.checkSchema(where, schema.Value.Items)
	r.checkSchema(where, schema.Value.AdditionalProperties.Schema)
	for _, part := range slices.Concat(schema.Value.AllOf, schema.Value.AnyOf, schema.Value.OneOf) {
		r.checkSchema(where, part)
	}
}
