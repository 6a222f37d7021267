package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// parameters are those of an operation, prepared.
type parameters struct {
	path, headers []parameter
	// whole says that these checks are all that the document wants of a request. Where it wants something else, such as
	// parameters in the query, or a body, openapi3filter interprets the document for each request.
	whole bool
}

// parameter is one whose value is a string.
type parameter struct {
	name     string // of a header in canonical form
	required bool
	text     contract.Text
}

func prepareParameters(item *openapi3.PathItem, op *openapi3.Operation) parameters {
	p := parameters{whole: op.RequestBody == nil && len(item.Parameters) == 0}
	for _, ref := range op.Parameters {
		declared := ref.Value
		if declared.Schema == nil || declared.Style != "" || declared.Explode != nil {
			p.whole = false
			continue
		}
		text, ok := prepareText(declared.Schema.Value)
		switch prepared := (parameter{declared.Name, declared.Required, text}); declared.In {
		case openapi3.ParameterInPath:
			p.path = append(p.path, prepared)
		case openapi3.ParameterInHeader:
			prepared.name = http.CanonicalHeaderKey(declared.Name)
			p.headers = append(p.headers, prepared)
		default:
			ok = false
		}
		p.whole = p.whole && ok
	}
	return p
}

// acceptPath reports whether the parameters in the path are within the contract. If not, openapi3filter has to say so, and
// why.
func (p *parameters) acceptPath(path pathValues) bool {
	for i := range p.path {
		if value := path.get(p.path[i].name); value == "" || !p.path[i].text.Accepts(value) {
			return false
		}
	}
	return p.whole
}

// acceptHeaders is acceptPath for those in headers.
func (p *parameters) acceptHeaders(headers http.Header) bool {
	for i := range p.headers {
		values := headers[p.headers[i].name]
		switch {
		case len(values) == 0 && !p.headers[i].required:
		case len(values) != 1 || values[0] == "" || !p.headers[i].text.Accepts(values[0]):
			return false
		}
	}
	return p.whole
}

// checkParameters checks the request's parameters against the document.
// Returns ErrBadRequest if one breaks a rule.
func (o *operation) checkParameters(r *http.Request, path pathValues) error {
	if o.parameters.acceptPath(path) && o.parameters.acceptHeaders(r.Header) {
		return nil
	}
	if o.route.Operation.RequestBody == nil {
		r.Body = http.NoBody // it would be read into memory
	}
	o.joinHeaders(r.Header)
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request:    r,
		PathParams: path.all(),
		Route:      o.route,
		Options:    &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}, // that has been done
	})
	if rule := (*openapi3filter.RequestError)(nil); errors.As(err, &rule) {
		return broken(rule)
	}
	return err
}

// joinHeaders makes one line of several of the same header, as they are one list (RFC 9110, section 5.3): the generated
// code takes only one.
func (o *operation) joinHeaders(headers http.Header) {
	for _, parameter := range o.route.Operation.Parameters {
		name := parameter.Value.Name
		if lines := headers.Values(name); parameter.Value.In == openapi3.ParameterInHeader && len(lines) > 1 {
			headers.Set(name, strings.Join(lines, ", "))
		}
	}
}

// pathValues are a request's path parameters. Only the request itself may keep them.
type pathValues struct{ names, values []string }

// newPathValues returns the request's path parameters unescaped: Echo leaves them as they are where the path holds an
// escape that it need not hold.
// Returns ErrNotFound where the path cannot be unescaped.
func newPathValues(c echo.Context) (pathValues, error) {
	p := pathValues{c.ParamNames(), c.ParamValues()}
	if c.Request().URL.RawPath == "" {
		return p, nil
	}
	p.values = slices.Clone(p.values)
	for i := range p.names {
		var err error
		if p.values[i], err = url.PathUnescape(p.values[i]); err != nil {
			return pathValues{}, jobrun.ErrNotFound
		}
	}
	return p, nil
}

// get returns "" for a parameter that the path does not have.
func (p pathValues) get(name string) string {
	if i := slices.Index(p.names, name); i >= 0 {
		return p.values[i]
	}
	return ""
}

func (p pathValues) all() map[string]string {
	all := make(map[string]string, len(p.names))
	for i, name := range p.names {
		all[name] = p.values[i]
	}
	return all
}

// prepareText returns what the schema says of a string, and false if it says more than of length and pattern: that is for
// openapi3filter to interpret.
func prepareText(schema *openapi3.Schema) (contract.Text, bool) {
	if !only(schema, openapi3.TypeString, openapi3.Schema{MinLength: schema.MinLength, MaxLength: schema.MaxLength, Pattern: schema.Pattern}) {
		return contract.Text{}, false
	}
	text := contract.Text{MinLength: int(schema.MinLength), MaxLength: -1}
	if schema.MaxLength != nil {
		text.MaxLength = int(*schema.MaxLength)
	}
	if schema.Pattern != "" {
		var err error
		if text.Pattern, err = contract.CompilePattern(schema.Pattern); err != nil {
			return contract.Text{}, false
		}
	}
	return text, true
}
