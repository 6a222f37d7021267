package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// responses are those of an operation.
type responses struct {
	operation *openapi3.Operation
	prepared  sync.Map // of accepts, nil for what has to be interpreted, by responseType
}

type responseType struct {
	status int
	value  reflect.Type
}

// CheckResponse checks a response. The value is the response object of generated code that was encoded as the body, or nil
// if it is not known; then the body is interpreted, which takes longer.
//
// Elements of arrays that break the contract are left out if they are objects, and dropped says why: kept is the body
// without them, so that one bad row of a list does not make its page unreachable.
// Returns a [*Violation] if anything else breaks the contract.
func (o *Operation) CheckResponse(status int, header http.Header, body []byte, value any) (kept []byte, dropped []error, err error) {
	media, err := o.responses.media(status, header)
	if err != nil {
		return nil, nil, err
	}
	if media == nil || media.Schema == nil {
		return body, nil, nil
	}
	if !isJSON(header) {
		if err := media.Schema.Value.VisitJSON(string(body), openapi3.VisitAsResponse()); err != nil {
			return nil, nil, explain(err).in(inResponse)
		}
		return body, nil, nil
	}
	if accept := o.responses.prepare(status, media.Schema, value); accept != nil && accept(encoded(value)) {
		return body, nil, nil
	}
	for {
		err := checkBody(media.Schema.Value, body)
		if err == nil {
			return body, dropped, nil
		}
		violation := explain(err).in(inResponse)
		rest, ok := cutElement(body, violation.Pointer)
		if !ok {
			return nil, nil, violation
		}
		body, dropped = rest, append(dropped, violation)
	}
}

// media returns what the document says of a body with that status and those headers, or nil if there is none.
func (r *responses) media(status int, header http.Header) (*openapi3.MediaType, error) {
	refuse := func(rule, format string, args ...any) (*openapi3.MediaType, error) {
		return nil, (&Violation{Rule: rule, Reason: fmt.Sprintf(format, args...)}).in(inResponse)
	}
	ref := r.operation.Responses.Status(status)
	if ref == nil {
		ref = r.operation.Responses.Default()
	}
	if ref == nil {
		return refuse("responses", "the status %d is not in the document", status)
	}
	for name, declared := range ref.Value.Headers {
		values := header.Values(name)
		if len(values) == 0 {
			if declared.Value.Required {
				return refuse("required", "the header %s is missing", name)
			}
			continue
		}
		p := prepareParameter(&openapi3.Parameter{Name: name, In: openapi3.ParameterInHeader, Schema: declared.Value.Schema})
		if violation := p.checkValue(values[0]); p.prepared && violation != nil {
			return refuse(violation.Rule, "header %s: %s", name, violation.Reason)
		}
	}
	if len(ref.Value.Content) == 0 {
		return nil, nil
	}
	media := ref.Value.Content.Get(header.Get("Content-Type"))
	if media == nil {
		return refuse("content", "the media type %q is not in the document", header.Get("Content-Type"))
	}
	return media, nil
}

func isJSON(header http.Header) bool {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && media == jsonMediaType
}

// prepare returns what accepts values of that type, or nil if they have to be interpreted.
func (r *responses) prepare(status int, schema *openapi3.SchemaRef, value any) accepts {
	if value == nil {
		return nil
	}
	key := responseType{status, reflect.TypeOf(value)}
	if prepared, ok := r.prepared.Load(key); ok {
		return prepared.(accepts)
	}
	accept, ok := prepareValue(schema, encoded(value).Type())
	if !ok {
		accept = nil
	}
	r.prepared.Store(key, accept)
	return accept
}

// encoded returns the part of a response object that generated code encodes: its body, or all of it. It can be addressed.
func encoded(value any) reflect.Value {
	v := reflect.New(reflect.TypeOf(value)).Elem()
	v.Set(reflect.ValueOf(value))
	if v.Kind() == reflect.Struct {
		if body := v.FieldByName("Body"); body.IsValid() {
			return body
		}
	}
	return v
}

func checkBody(schema *openapi3.Schema, body []byte) error {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return schema.VisitJSON(value, openapi3.VisitAsResponse())
}

// SchemaOf returns a check of values of a generated type against a component schema of the document.
// The check returns a [*Violation] if the value, encoded as JSON, breaks a rule.
// Returns an error if the document lacks the schema.
func SchemaOf[T any](d *Document, name string) (func(*T) error, error) {
	component := d.doc.Components.Schemas[name]
	if component == nil {
		return nil, fmt.Errorf("the contract lacks the schema %s", name)
	}
	accept, prepared := prepareValue(component, reflect.TypeFor[T]())
	return func(value *T) error {
		if prepared && accept(reflect.ValueOf(value).Elem()) {
			return nil
		}
		body, err := json.Marshal(value)
		if err == nil {
			err = checkBody(component.Value, body)
		}
		if err != nil {
			return explain(err).in(inResponse)
		}
		return nil
	}, nil
}

// cutElement returns the JSON text without the object in an array that the pointer leads through, and false if it leads
// through none. Of several arrays it is the outermost.
func cutElement(text []byte, pointer string) ([]byte, bool) {
	keys := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	decoder := json.NewDecoder(bytes.NewReader(text))
	for _, key := range keys {
		token, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		switch token {
		case json.Delim('{'):
			if !enter(decoder, unescapePointer.Replace(key)) {
				return nil, false
			}
		case json.Delim('['):
			index, err := strconv.Atoi(key)
			if err != nil {
				return nil, false
			}
			return cutIndex(text, decoder, index)
		default:
			return nil, false
		}
	}
	return nil, false
}

// enter moves into an object to the value of that name, and reports whether there is one.
func enter(decoder *json.Decoder, name string) bool {
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		if token == name {
			return true
		}
		var skipped json.RawMessage
		if decoder.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

// cutIndex cuts an element out of the array that the decoder has entered, with the comma before or after it.
func cutIndex(text []byte, decoder *json.Decoder, index int) ([]byte, bool) {
	var element json.RawMessage
	end := decoder.InputOffset()
	for i := 0; decoder.More(); i++ {
		begin := end
		if decoder.Decode(&element) != nil {
			return nil, false
		}
		end = decoder.InputOffset()
		if i < index {
			continue
		}
		if element[0] != '{' {
			return nil, false
		}
		if index == 0 && decoder.More() {
			end += int64(bytes.IndexByte(text[end:], ',')) + 1
		}
		return append(bytes.Clone(text[:begin]), text[end:]...), true
	}
	return nil, false
}
