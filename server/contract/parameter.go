package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// parameter is a parameter of an operation, prepared.
type parameter struct {
	*openapi3.Parameter
	item     *openapi3.Schema // of a value, or of each of an array
	text     *text            // what the schema says of a string, if that is all
	array    bool
	defaults []string // values of a parameter that is absent
	// prepared says that this package reads the parameter. Any other, such as an object, is for
	// openapi3filter.
	prepared bool
}

func prepareParameter(p *openapi3.Parameter) parameter {
	prepared := parameter{Parameter: p}
	if p.Schema == nil || p.Schema.Value == nil || p.In == openapi3.ParameterInCookie {
		return prepared
	}
	prepared.item = p.Schema.Value
	style, exploded := openapi3.SerializationSimple, false
	if p.In == openapi3.ParameterInQuery {
		style, exploded = openapi3.SerializationForm, true
	}
	standard := (p.Style == "" || p.Style == style) && (p.Explode == nil || *p.Explode == exploded)
	if prepared.array = typeOf(prepared.item) == openapi3.TypeArray; prepared.array {
		if p.In != openapi3.ParameterInQuery || prepared.item.Items == nil {
			return prepared
		}
		prepared.item = prepared.item.Items.Value
	}
	prepared.prepared = standard && slices.Contains(scalars, typeOf(prepared.item))
	if t, ok := prepareText(prepared.item); ok && !prepared.array {
		prepared.text = t
	}
	prepared.defaults = defaultsOf(p.Schema.Value)
	return prepared
}

// defaultsOf returns the default of a schema as a query has it.
func defaultsOf(schema *openapi3.Schema) []string {
	value := schema.Default
	for i := 0; value == nil && i < len(schema.AllOf); i++ {
		value = schema.AllOf[i].Value.Default
	}
	values, isArray := value.([]any)
	if !isArray && value != nil {
		values = []any{value}
	}
	var written []string
	for _, v := range values {
		if number, ok := v.(float64); ok {
			written = append(written, strconv.FormatFloat(number, 'f', -1, 64))
			continue
		}
		written = append(written, fmt.Sprint(v))
	}
	return written
}

// CheckParameters checks the parameters of a request in path, query and headers, in the document's
// order. The function returns the unescaped value of a path parameter, "" for one that the path
// does not have.
//
// It writes the request as generated code reads it: a query parameter that is absent gets its
// default, and several lines of a header become one list (RFC 9110, section 5.3). Returns a
// [*Violation] that wraps ErrInvalid if a parameter breaks a rule.
func (o *Operation) CheckParameters(r *http.Request, path func(name string) string) error {
	var query *query
	for i := range o.parameters {
		p := &o.parameters[i]
		var violation *Violation
		switch {
		case !p.prepared:
			violation = o.interpret(p, r, path)
		case p.In == openapi3.ParameterInPath:
			violation = p.checkPath(path(p.Name))
		case p.In == openapi3.ParameterInHeader:
			violation = p.checkHeader(r.Header)
		default:
			if query == nil {
				query = readQuery(r.URL.RawQuery)
			}
			violation = p.checkQuery(query, r.URL)
		}
		if violation != nil {
			violation.Parameter = p.Name
			return violation.in(p.In)
		}
	}
	return nil
}

func (p *parameter) checkPath(value string) *Violation {
	if value == "" {
		return missing()
	}
	return p.checkValue(value)
}

func (p *parameter) checkHeader(header http.Header) *Violation {
	name := http.CanonicalHeaderKey(p.Name)
	lines := header[name]
	if len(lines) > 1 {
		lines = []string{strings.Join(lines, ", ")}
		header[name] = lines
	}
	switch {
	case len(lines) == 0 && !p.Required:
		return nil
	case len(lines) == 0 || p.Required && lines[0] == "":
		return missing()
	}
	return p.checkValue(lines[0])
}

// query is the query of a request.
type query struct {
	values url.Values
	broken []string // names of parameters whose name or value is not escaped as a URL has it
}

// readQuery reads a query as net/url does, and remembers what that leaves out.
func readQuery(raw string) *query {
	values, err := url.ParseQuery(raw)
	q := &query{values: values}
	if err == nil {
		return q
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if _, err := url.ParseQuery(pair); err != nil {
			name, _, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
			q.broken = append(q.broken, name)
		}
	}
	return q
}

func (p *parameter) checkQuery(q *query, u *url.URL) *Violation {
	values := q.values[p.Name]
	switch {
	case slices.Contains(q.broken, p.Name):
		return &Violation{Rule: "style", Reason: "the value is not escaped as a URL has it"}
	case len(values) == 0 && p.Required:
		return missing()
	case len(values) == 0:
		for _, value := range p.defaults {
			u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+url.QueryEscape(p.Name)+"="+url.QueryEscape(value), "&")
		}
		return nil
	case !p.array && len(values) > 1:
		return &Violation{Rule: "type", Reason: "the parameter is repeated, and is no array"}
	}
	decoded := make([]any, len(values))
	for i, value := range values {
		if value == "" && !p.AllowEmptyValue {
			return &Violation{Rule: "allowEmptyValue", Reason: "the value is empty"}
		}
		if violation := p.checkValue(value); violation != nil {
			return violation
		}
		if p.array {
			decoded[i], _ = decodeScalar(p.item, value)
		}
	}
	if !p.array {
		return nil
	}
	if err := p.Schema.Value.VisitJSON(decoded); err != nil {
		return explain(err)
	}
	return nil
}

// checkValue checks a single value as it was sent.
func (p *parameter) checkValue(value string) *Violation {
	if p.text != nil && p.text.accepts(value) {
		return nil
	}
	decoded, violation := decodeScalar(p.item, value)
	if violation != nil {
		return violation
	}
	if err := p.item.VisitJSON(decoded); err != nil {
		v := explain(err)
		v.Pointer = ""
		return v
	}
	return nil
}

func missing() *Violation {
	return &Violation{Rule: "required", Reason: openapi3filter.ErrInvalidRequired.Error()}
}

// interpret has openapi3filter check a parameter that is not prepared.
func (o *Operation) interpret(p *parameter, r *http.Request, path func(string) string) *Violation {
	err := openapi3filter.ValidateParameter(context.WithoutCancel(r.Context()), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: map[string]string{p.Name: path(p.Name)}, Route: o.route,
	}, p.Parameter)
	if err == nil {
		return nil
	}
	var schema *openapi3.SchemaError
	var parse *openapi3filter.ParseError
	var request *openapi3filter.RequestError
	switch {
	case errors.As(err, &schema):
		return explain(err)
	case errors.As(err, &parse):
		return &Violation{Rule: "type", Reason: parse.Reason}
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		return &Violation{Rule: "allowEmptyValue", Reason: "the value is empty"}
	case errors.As(err, &request) && !errors.Is(err, openapi3filter.ErrInvalidRequired):
		return &Violation{Rule: "content", Reason: cmp.Or(request.Reason, "the value cannot be read")}
	}
	return missing()
}
