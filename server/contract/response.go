package contract

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// responses are those of an operation.
type responses struct {
	byStatus map[string]*response // by what the document has for a status: "200", "4XX" or "default"
	prepared sync.Map             // of accepts, nil for what has to be interpreted, by responseType
}

// response is what the document says of responses with a status.
type response struct {
	headers []parameter
	content openapi3.Content
}

type responseType struct {
	status int
	value  reflect.Type
}

func prepareResponses(op *openapi3.Operation) *responses {
	r := &responses{byStatus: map[string]*response{}}
	for status, ref := range op.Responses.Map() {
		prepared := &response{content: ref.Value.Content}
		for name, header := range ref.Value.Headers {
			prepared.headers = append(prepared.headers, prepareParameter(&openapi3.Parameter{
				Name:     name,
				In:       openapi3.ParameterInHeader,
				Required: header.Value.Required,
				Schema:   header.Value.Schema,
			}))
		}
		r.byStatus[status] = prepared
	}
	return r
}

// find returns what the document says of a status, or nil.
func (r *responses) find(status int) *response {
	for _, name := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "XX", "default"} {
		if found := r.byStatus[name]; found != nil {
			return found
		}
	}
	return nil
}

// CheckResponse checks a response. The value is the response object of generated code that was
// encoded as the body, or nil if it is not known; then the body is interpreted, which takes longer.
//
// Elements of arrays that break the contract are left out if they are objects, and dropped says
// why: rest is the body without them, so that one bad row of a list does not make its page
// unreachable. Returns a [*Violation] if anything else breaks the contract.
func (o *Operation) CheckResponse(
	status int,
	header http.Header,
	body []byte,
	value any,
) (rest []byte, dropped []error, err error) {
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
	return dropElements(media.Schema.Value, body)
}

// media returns what the document says of a body with that status and those headers, or nil if
// there is none.
func (r *responses) media(status int, header http.Header) (*openapi3.MediaType, error) {
	refuse := func(rule, format string, args ...any) (*openapi3.MediaType, error) {
		return nil, (&Violation{Rule: rule, Reason: fmt.Sprintf(format, args...)}).in(inResponse)
	}
	found := r.find(status)
	if found == nil {
		return refuse("responses", "the status %d is not in the document", status)
	}
	for i := range found.headers {
		p := &found.headers[i]
		values := header.Values(p.Name)
		if len(values) == 0 {
			if p.Required {
				return refuse("required", "the header %s is missing", p.Name)
			}
			continue
		}
		if !p.prepared {
			continue // what a header is that is no scalar, nothing here reads
		}
		if violation := p.checkValue(values[0]); violation != nil {
			return refuse(violation.Rule, "header %s: %s", p.Name, violation.Reason)
		}
	}
	if len(found.content) == 0 {
		return nil, nil
	}
	media := found.content.Get(header.Get("Content-Type"))
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
	accept := prepareType(schema, encoded(value).Type())
	r.prepared.Store(key, accept)
	return accept
}

// encoded returns the part of a response object that generated code encodes: its body, or all of
// it. It can be addressed.
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

// SchemaOf returns a check of values of a generated type against a component schema of the
// document. The check returns a [*Violation] if the value, encoded as JSON, breaks a rule. Returns
// an error if the document lacks the schema.
func SchemaOf[T any](d *Document, name string) (func(*T) error, error) {
	component := d.doc.Components.Schemas[name]
	if component == nil {
		return nil, fmt.Errorf("the contract lacks the schema %s", name)
	}
	accept := prepareType(component, reflect.TypeFor[T]())
	return func(value *T) error {
		if accept != nil && accept(reflect.ValueOf(value).Elem()) {
			return nil
		}
		body, err := json.Marshal(value)
		if err != nil {
			return explain(err).in(inResponse)
		}
		if _, violations := violationsOf(component.Value, body); len(violations) > 0 {
			return violations[0].in(inResponse)
		}
		return nil
	}, nil
}
