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
	for _, problem := range brokenRules(string(jobruns.Document)) {
		t.Error(problem)
	}
}

// TestBrokenContractRules breaks each of the rules.
func TestBrokenContractRules(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"not YAML", "openapi: 3.0.3", "openapi: [", "openapi.yaml: "},
		{"not OpenAPI", "  title: jobruns\n", "", "openapi.yaml: invalid info"},
		{"an unknown schema", "$ref: '#/components/schemas/JobRun'}", "$ref: '#/components/schemas/Jobrun'}", "Jobrun"},
		{"a version of another form", "  version: ", "  version: v", "info.version"},
		{"no operationId", "      operationId: login\n", "", "GET /v1/login: no operationId"},
		{"no summary", "      summary: Check a token\n", "", "login: no summary"},
		{"nobody said who may", "      x-required-permission: Project > Jobs > General > Read\n", "",
			"getJobRun: neither x-required-permission nor a security of its own"},
		{"an example against its schema", "              active: 0\n", "              active: 2\n", "active"},
		{"an example with a field too few", "              completions: 1\n", "", "completions"},
		{"a body with an open object", "      additionalProperties: false\n", "", "recordJobRun: body: an object that is not closed"},
		{"a body with a string without bounds", "          type: string\n          maxLength: 512\n          pattern: ^[^\\x00-\\x1F\\x7F]*$\n", "          type: string\n",
			"recordJobRun: body: conclusion: message: a string without maxLength"},
		{"a body with a number without bounds", "          minimum: 10\n          maximum: 604800\n", "          minimum: 10\n", "recordJobRun: body: heartbeatTimeout: a number without minimum and maximum"},
		{"a body of another type", "          application/json:\n            schema: {$ref: '#/components/schemas/JobRunReport'}", "          text/plain:\n            schema: {$ref: '#/components/schemas/JobRunReport'}",
			"recordJobRun: its body is not application/json alone"},
		{"an error's example of another status", "              status: 404\n", "              status: 403\n",
			"response 404: the example has the status 403"},
		{"no example", "          example: {data: {}}\n", "", "login: response 200: no example"},
		{"a parameter without an example", "      example: default-project\n", "", "projectId: parameter projectId: no example"},
		{"a shared error is missing", "        '404': {$ref: '#/components/responses/NotFound'}\n", "",
			"getJobRun: no response 404"},
		{"an error of its own", "        '405': {$ref: '#/components/responses/MethodNotAllowed'}\n", "        '405': {description: no}\n",
			"getJobRun: the response 405 is not shared"},
		{"an error of another form", "$ref: '#/components/schemas/ErrorResult'}\n          example:\n            error:\n              status: 403",
			"type: object}\n          example:\n            error:\n              status: 403", "response 403: its schema is not ErrorResult"},
		{"an integer without a maximum", "      schema: {$ref: '#/components/schemas/ID'}\n      example: d34582a4", "      schema: {type: integer, minimum: 1}\n      example: d34582a4",
			"parameter runId: an integer without minimum and maximum"},
		{"an integer without a minimum", "      schema: {$ref: '#/components/schemas/ID'}\n      example: d34582a4", "      schema: {type: integer, maximum: 1}\n      example: d34582a4",
			"parameter runId: an integer without minimum and maximum"},
		{"an integer in an allOf without a maximum", "      schema: {$ref: '#/components/schemas/ID'}\n      example: d34582a4",
			"      schema: {allOf: [{type: integer, minimum: 1}]}\n      example: d34582a4", "parameter runId: an integer without minimum and maximum"},
		{"integers in a list without bounds", "      schema: {$ref: '#/components/schemas/ID'}\n      example: d34582a4",
			"      schema: {type: array, maxItems: 1, items: {type: integer}}\n      example: d34582a4", "parameter runId: an integer without minimum and maximum"},
		{"an integer of a path without bounds", "  /v1/login:\n", "  /v1/login:\n    parameters: [{name: n, in: query, description: d, example: 1, schema: {type: integer}}]\n",
			"/v1/login: parameter n: an integer without minimum and maximum"},
		{"a list in a map without bounds", "        data:\n          type: object\n          description: Empty.\n",
			"        data:\n          type: object\n          additionalProperties: {type: array, items: {type: string}}\n          description: Empty.\n",
			"property data: a list without maxItems"},
		{"a list as a parameter without bounds", "      schema: {$ref: '#/components/schemas/ID'}\n      example: d34582a4",
			"      schema: {type: array, items: {type: string}}\n      example: d34582a4", "parameter runId: a list without maxItems"},
		{"a list without bounds", "        data:\n          type: object\n          description: Empty.\n",
			"        data:\n          type: array\n          items: {type: string}\n          description: Empty.\n", "property data: a list without maxItems"},
		{"a property without a description", "          description: Whether the run is over.\n", "",
			"schema JobRun: property concluded: no description"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(string(jobruns.Document), test.old, test.new, 1)
			if text == string(jobruns.Document) {
				t.Fatalf("openapi.yaml has no %q any more", test.old)
			}
			problems := brokenRules(text)
			if !strings.Contains(strings.Join(problems, "\n"), test.want) {
				t.Errorf("problems %q, want %q", problems, test.want)
			}
		})
	}
}

// rules collects what is wrong with a document.
type rules struct{ problems []string }

func (r *rules) addf(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// brokenRules returns what is wrong with a document, in words.
func brokenRules(text string) []string {
	var r rules
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData([]byte(text))
	if err == nil {
		err = doc.Validate(loader.Context) // the examples too
	}
	if err != nil {
		r.addf("openapi.yaml: %v", err)
	}
	if doc == nil || doc.Paths == nil || doc.Components == nil {
		return r.problems
	}
	if doc.Info != nil && !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(doc.Info.Version) {
		r.addf("info.version %q is not MAJOR.MINOR.PATCH", doc.Info.Version)
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
	return r.problems
}

func (r *rules) checkOperation(route string, op *openapi3.Operation) {
	name := op.OperationID
	if name == "" {
		r.addf("%s: no operationId", route)
		name = route
	}
	if op.Summary == "" {
		r.addf("%s: no summary", name)
	}
	_, permission := op.Extensions["x-required-permission"]
	// [] says that no token is needed, and [bearer: []] that any token will do.
	if !permission && op.Security == nil {
		r.addf("%s: neither x-required-permission nor a security of its own", name)
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
			r.addf("%s: no response %s", name, status)
		}
	}
	for status, response := range op.Responses.Map() {
		if !strings.HasPrefix(status, "2") && response.Ref == "" {
			r.addf("%s: the response %s is not shared", name, status)
		}
		if response.Value != nil {
			r.checkResponse(name, status, response)
		}
	}
	for _, parameter := range op.Parameters {
		r.checkParameter(name, parameter.Value)
	}
	if _, err := prepareBody(op); err != nil {
		r.addf("%s: %v", name, err)
	} else if op.RequestBody != nil {
		r.checkBody(name+": body", op.RequestBody.Value.Content[jsonMediaType].Schema.Value)
	}
}

// checkBody checks that the size of every value in a body is bounded.
func (r *rules) checkBody(where string, schema *openapi3.Schema) {
	switch {
	case schema.Type.Is(openapi3.TypeObject):
		if has := schema.AdditionalProperties.Has; has == nil || *has {
			r.addf("%s: an object that is not closed", where)
		}
		for name, property := range schema.Properties {
			r.checkBody(where+": "+name, property.Value)
		}
	case schema.Type.Is(openapi3.TypeArray):
		r.checkBounds(where, schema)
		r.checkBody(where, schema.Items.Value)
	case schema.Type.Is(openapi3.TypeString) && schema.MaxLength == nil && len(schema.Enum) == 0:
		r.addf("%s: a string without maxLength", where)
	case schema.Type.Is(openapi3.TypeInteger) || schema.Type.Is(openapi3.TypeNumber):
		if schema.Min == nil || schema.Max == nil {
			r.addf("%s: a number without minimum and maximum", where)
		}
	}
	for _, part := range slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf) {
		r.checkBody(where, part.Value)
	}
}

func (r *rules) checkParameter(where string, parameter *openapi3.Parameter) {
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
			r.addf("%s: an integer without minimum and maximum", place)
		}
	}
	if parameter != nil && (parameter.Description == "" || parameter.Example == nil) {
		r.addf("%s: parameter %s: no example or no description", where, parameter.Name)
	}
}

func (r *rules) checkResponse(operation, status string, response *openapi3.ResponseRef) {
	where := fmt.Sprintf("%s: response %s", operation, status)
	if !strings.HasPrefix(status, "2") && status != "304" { // which has no body
		media := response.Value.Content.Get("application/json")
		if media == nil || media.Schema == nil || media.Schema.Ref != "#/components/schemas/ErrorResult" {
			r.addf("%s: its schema is not ErrorResult", where)
			return
		}
		var example struct{ Error model.Error }
		text, err := json.Marshal(media.Example)
		if err == nil {
			err = json.Unmarshal(text, &example)
		}
		if number, _ := strconv.Atoi(status); err != nil || number != 0 && number != example.Error.Status {
			r.addf("%s: the example has the status %d (%v)", where, example.Error.Status, err)
		}
	}
	for _, media := range response.Value.Content {
		if media.Schema == nil || media.Schema.Value == nil {
			r.addf("%s: no schema", where)
			continue
		}
		if len(media.Schema.Value.Properties) > 0 && media.Example == nil {
			r.addf("%s: no example", where)
		}
		r.checkSchema(where, media.Schema)
	}
}

// checkBounds checks that a list has a greatest length.
func (r *rules) checkBounds(where string, schema *openapi3.Schema) {
	if schema.Type.Is(openapi3.TypeArray) && schema.MaxItems == nil {
		r.addf("%s: a list without maxItems", where)
	}
}

// checkSchema checks a schema where it is written.
func (r *rules) checkSchema(where string, schema *openapi3.SchemaRef) {
	if schema == nil || schema.Ref != "" || schema.Value == nil {
		return
	}
	r.checkBounds(where, schema.Value)
	for name, property := range schema.Value.Properties {
		if property.Value != nil && property.Value.Description == "" {
			r.addf("%s: property %s: no description", where, name)
		}
		r.checkSchema(where+": property "+name, property)
	}
	r.checkSchema(where, schema.Value.Items)
	r.checkSchema(where, schema.Value.AdditionalProperties.Schema)
	for _, part := range slices.Concat(schema.Value.AllOf, schema.Value.AnyOf, schema.Value.OneOf) {
		r.checkSchema(where, part)
	}
}
