package contract

import (
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
)

// Schema checks JSON texts.
type Schema struct {
	what   string
	schema *openapi3.Schema
}

// Object returns a schema of JSON objects, which errors call by the given words, whose properties
// are component schemas of the document, by name. No others are allowed, neither in the object nor
// in those schemas, so that nothing is lost that is decoded. A property that may be null may also
// be missing, because both are decoded as nil. Returns an error that names a component schema that
// the document lacks.
func (d *Document) Object(what string, required []string, properties map[string]string) (*Schema, error) {
	object := openapi3.NewObjectSchema().WithRequired(required)
	for property, name := range properties {
		component := d.doc.Components.Schemas[name]
		if component == nil {
			return nil, fmt.Errorf("the contract lacks the schema %s", name)
		}
		object.WithProperty(property, closed(component.Value))
	}
	return &Schema{what, closed(object)}, nil
}

// closed returns the schema without room for further properties, at any depth, in which no nullable
// property is required. A property that only
// refers to another schema, by an allOf of one, is replaced by that schema, which takes half the
// time to check.
func closed(schema *openapi3.Schema) *openapi3.Schema {
	copied := *schema
	if len(copied.AllOf) == 1 && copied.Type == nil && !copied.Nullable {
		return closed(copied.AllOf[0].Value)
	}
	if copied.Type.Is(openapi3.TypeArray) && copied.Items != nil {
		copied.Items = &openapi3.SchemaRef{Value: closed(copied.Items.Value)}
	}
	if !copied.Type.Is(openapi3.TypeObject) {
		return &copied
	}
	copied.Properties = openapi3.Schemas{}
	for name, property := range schema.Properties {
		copied.Properties[name] = &openapi3.SchemaRef{Value: closed(property.Value)}
	}
	copied.Required = slices.DeleteFunc(slices.Clone(schema.Required), func(name string) bool {
		property := schema.Properties[name]
		return property != nil && property.Value.Nullable
	})
	return copied.WithoutAdditionalProperties()
}

// CheckJSON checks a JSON text. It refuses a name that occurs twice in an object and text that is not
// UTF-8, because two readers may take them for different values.
// Returns an error that names the field and the rule.
func (s *Schema) CheckJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if err := s.schema.VisitJSON(value); err != nil {
		v := violationOf(err)
		v.In = inValue
		if v.Pointer == "" {
			v.Parameter = s.what
		}
		return v
	}
	return nil
}
