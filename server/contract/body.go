package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// defaultMaxBytes is how many bytes a body may have, unless the document says otherwise with
// maxBytesExtension.
const defaultMaxBytes = 64 << 10

const jsonMediaType = "application/json"

// body is what the document says of the body of a request.
type body struct {
	required bool
	maxBytes int64
	schema   *openapi3.Schema
}

// prepareBody returns nil for an operation without a body.
func prepareBody(op *openapi3.Operation) (*body, error) {
	if op.RequestBody == nil {
		return nil, nil
	}
	declared := op.RequestBody.Value
	media := declared.Content[jsonMediaType]
	if len(declared.Content) != 1 || media == nil || media.Schema == nil {
		return nil, fmt.Errorf("its body is not %s alone", jsonMediaType)
	}
	for _, status := range []string{"413", "415"} {
		if op.Responses.Value(status) == nil {
			return nil, fmt.Errorf("it takes a body, and declares no response %s", status)
		}
	}
	b := &body{required: declared.Required, maxBytes: defaultMaxBytes, schema: media.Schema.Value}
	if value, given := op.Extensions[maxBytesExtension]; given {
		number, ok := value.(float64)
		if b.maxBytes = int64(number); !ok || b.maxBytes < 1 || float64(b.maxBytes) != number {
			return nil, fmt.Errorf("%s is not a number of bytes: %v", maxBytesExtension, value)
		}
	}
	return b, nil
}

// HasBody reports whether the operation takes a body.
func (o *Operation) HasBody() bool { return o.body != nil }

// ReadBody reads the body of a request into memory, and checks it. From then on the request has
// exactly the body that was checked, which is what the handler decodes. The operation must have a
// body.
//
// Returns a [*Violation] that wraps ErrTooLarge if there is more of it than the document allows,
// which is not read; ErrMediaType if it is encoded or of another media type; and ErrInvalid if it
// breaks a rule. Returns another error if the body cannot be read.
func (o *Operation) ReadBody(r *http.Request) error {
	b := o.body
	if r.ContentLength > b.maxBytes {
		return b.tooLarge()
	}
	if err := b.checkHeaders(r); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, b.maxBytes+1))
	switch {
	case err != nil:
		return &Violation{
			In:       inBody,
			Rule:     "required",
			Reason:   "the body ends too early",
			sentinel: errors.Join(ErrInvalid, err),
		}
	case int64(len(text)) > b.maxBytes:
		return b.tooLarge()
	case len(text) == 0 && b.required:
		return missing().in(inBody)
	case len(text) == 0:
		return nil
	case r.Header.Get("Content-Type") == "":
		return b.otherType("it has none")
	}
	if violation := b.check(text); violation != nil {
		return violation.in(inBody)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Type", jsonMediaType) // which Echo knows in no other case, and has been checked
	return nil
}

// checkHeaders checks what the headers say of the body. A request without a body needs none of
// them.
func (b *body) checkHeaders(r *http.Request) error {
	if encoding := strings.Join(
		r.Header.Values("Content-Encoding"),
		", ",
	); encoding != "" &&
		!strings.EqualFold(encoding, "identity") {
		return &Violation{
			In:       inBody,
			Rule:     "content",
			Reason:   "the Content-Encoding must be identity",
			sentinel: ErrMediaType,
		}
	}
	given := r.Header.Get("Content-Type")
	if given == "" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(given)
	charset := parameters["charset"]
	if err != nil || media != jsonMediaType || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return b.otherType("it is another one")
	}
	return nil
}

func (b *body) otherType(reason string) error {
	return &Violation{
		In:       inBody,
		Rule:     "content",
		Reason:   "the Content-Type must be " + jsonMediaType + ": " + reason,
		sentinel: ErrMediaType,
	}
}

func (b *body) tooLarge() error {
	return &Violation{
		In:       inBody,
		Rule:     maxBytesExtension,
		Reason:   fmt.Sprintf("it may have %d bytes", b.maxBytes),
		sentinel: ErrTooLarge,
	}
}

// check returns nil for a JSON text that is within the schema, and that encoding/json reads as the
// schema does.
func (b *body) check(text []byte) *Violation {
	value, violation := decodeJSON(text, decodeNumbers)
	if violation != nil {
		return violation
	}
	if err := b.schema.VisitJSON(value, openapi3.VisitAsRequest()); err != nil {
		return explain(err)
	}
	return readable(value, b.schema, nil)
}

// Schema checks JSON texts.
type Schema struct {
	what   string
	schema *openapi3.Schema
}

// Object returns a schema of JSON objects, which errors call by the given words, whose properties
// are component schemas of the document, by name. No others are allowed, neither in the object nor
// in those schemas, so that nothing is lost that is decoded. Returns an error that names a
// component schema that the document lacks.
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

// closed returns the schema without room for further properties, at any depth. A property that only
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
	return copied.WithoutAdditionalProperties()
}

// CheckJSON checks a JSON text. Returns a [*Violation] if it breaks a rule.
func (s *Schema) CheckJSON(text []byte) error {
	value, violation := decodeJSON(text, json.Unmarshal)
	if violation == nil {
		if err := s.schema.VisitJSON(value); err != nil {
			violation = explain(err)
		}
	}
	if violation != nil {
		violation.whole = s.what + ": "
		return violation.in(inValue)
	}
	return nil
}
