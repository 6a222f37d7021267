package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/contract"
)

// contractOf returns openapi.yaml as a caller would read it.
func contractOf(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(jobruns.Document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// conformance sends requests that are made from the contract. Its transport validates the
// responses.
type conformance struct {
	*testing.T
	doc    *openapi3.T
	server *apiServer
	token  string
	record string      // a token that records
	sent   map[int]int // how many requests were answered with each status
}

// request is one for an operation of the contract.
type request struct {
	path      string
	operation *openapi3.Operation
	method    string
	values    map[string]string // of parameters in the path, escaped
	query     string            // escaped
	headers   http.Header
	body      string
}

// example is a request with the examples of the contract for the parameters that are required.
func (c *conformance) example(path, method string, op *openapi3.Operation) request {
	r := request{path: path, operation: op, method: method, values: map[string]string{}, headers: http.Header{}}
	for _, parameter := range op.Parameters {
		p := parameter.Value
		switch value := fmt.Sprint(p.Example); {
		case p.In == openapi3.ParameterInPath:
			r.values[p.Name] = value
		case p.In == openapi3.ParameterInHeader && p.Required:
			r.headers.Set(p.Name, value)
		case p.In == openapi3.ParameterInQuery && p.Required:
			r.query = appendQuery(r.query, p.Name, url.QueryEscape(value))
		case p.Required:
			c.Fatalf("%s: the test does not know parameters in the %s", op.OperationID, p.In)
		}
	}
	if op.RequestBody != nil {
		body, err := json.Marshal(op.RequestBody.Value.Content["application/json"].Example)
		if err != nil {
			c.Fatal(err)
		}
		r.body = string(body)
		r.headers.Set("Content-Type", "application/json")
	}
	if op.Security == nil || len(*op.Security) > 0 {
		r.headers.Set("Authorization", "Bearer "+c.token)
		if method == http.MethodPut {
			r.headers.Set("Authorization", "Bearer "+c.record)
		}
	}
	return r
}

// parameters returns those of the operation that are in the path, or in headers.
func (r request) parameters(in string) (found []*openapi3.Parameter) {
	for _, parameter := range r.operation.Parameters {
		if parameter.Value.In == in {
			found = append(found, parameter.Value)
		}
	}
	return found
}

// with returns the request with another value in its path.
func (r request) with(name, value string) request {
	r.values = maps.Clone(r.values)
	r.values[name] = value
	return r
}

func appendQuery(query, name, value string) string {
	return strings.TrimPrefix(query+"&"+name+"="+value, "&")
}

// success returns the status of a good response to the operation.
func (r request) success() int {
	for status := range r.operation.Responses.Map() {
		if n, err := strconv.Atoi(status); err == nil && n/100 == 2 {
			return n
		}
	}
	return http.StatusOK
}

// send sends the request as it is written, and returns the status and the error of a response that
// the contract allows.
func (c *conformance) send(r request) (int, model.Error) {
	c.Helper()
	path := r.path
	for name, value := range r.values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	host := strings.TrimPrefix(c.server.url, "http://")
	body := io.NopCloser(strings.NewReader(r.body))
	if r.body == "" {
		body = http.NoBody
	}
	response, err := http.DefaultTransport.RoundTrip(&http.Request{
		Method:        r.method,
		Host:          host,
		Header:        r.headers,
		URL:           &url.URL{Scheme: "http", Host: host, Opaque: path, RawQuery: r.query},
		Body:          body,
		ContentLength: int64(len(r.body)),
	})
	if err != nil {
		c.Fatalf("%s %s: %v", r.method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.Fatalf("%s %s: %v", r.method, path, err)
	}
	c.sent[response.StatusCode]++
	var result model.ErrorResult
	if response.StatusCode/100 != 2 && r.method != http.MethodHead {
		if err := json.Unmarshal(text, &result); err != nil {
			c.Errorf("%s %.200s: %d: %v: %.500s", r.method, path, response.StatusCode, err, text)
		}
	}
	return response.StatusCode, result.Error
}

// want sends the request and checks the status.
func (c *conformance) want(what string, r request, statuses ...int) model.Error {
	c.Helper()
	status, problem := c.send(r)
	if !slices.Contains(statuses, status) {
		c.Errorf("%s: %s %.100q %v: the status is %d, want %d: %s", what, r.method, r.values, r.headers, status,
			statuses, problem.Message)
	}
	return problem
}

// strangeValues are values for a parameter, as they are sent.
func strangeValues(schema *openapi3.Schema, example string) []string {
	values := []string{
		"a", "0", "-", "_", ".a", "a.", "a-", "-a", "a.b_c-d", "A", "null", "true", "1e3", "%C3%A9", "%E2%80%AE",
		"%F0%9F%92%A9", "%FF", "%00", "%0A", "%0D%0A", "a%20b", "a+b", "a%2Bb", "a%09", "%22", "%27", "%3C%3E", "%5C",
		"%7B%7D", "%25", "%252F", "a%3Bb", "a%26b", "a%3Fb", "a%23b", "a;b=c", "a,b", "a:b", "a@b", "~", "!$&'()*",
		"a%2Fb", "%2F", "a%2F..%2Fb", "%2E%2E", "%2E", escaped(example), strings.ToLower(escaped(example)),
		escaped(escaped(example)), strings.Repeat("a", int(schema.MinLength)),
		strings.Repeat("%61", int(schema.MinLength)),
	}
	if schema.MaxLength != nil {
		most := int(*schema.MaxLength)
		values = append(values, strings.Repeat("a", most), strings.Repeat("%61", most), strings.Repeat("a", most+1),
			strings.Repeat("%C3%A9", most))
	}
	return append(values, strings.Repeat("a", 4000))
}

// escaped returns the text with each of its bytes escaped.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02X", text[i])
	}
	return b.String()
}

// TestConformance sends the built server each operation's example, and strange values in the path
// and the query. Package server tests tokens, methods, headers and bodies of each operation.
func TestConformance(t *testing.T) {
	t.Parallel()
	store, _ := documentedStore(t)
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	create := []string{"token", "create", "--store", store, "--name", "everything"}
	for _, permission := range document.Permissions() {
		if !slices.Contains(document.WritePermissions(), permission) {
			create = append(create, "--permission", permission)
		}
	}
	token := output(t, "jobrund", create...)
	record := output(t, "jobrund", "token", "create", "--store", store, "--name", "recorder", "--record")
	c := &conformance{
		T: t, doc: contractOf(t), server: serve(t, store), token: token, record: record, sent: map[int]int{},
	}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			example := c.example(path, method, op)
			c.want("the examples", example, example.success())
			c.checkPath(example)
			c.checkQuery(example)
		}
	}
	for _, status := range []int{200, 400, 404} {
		if c.sent[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, c.sent)
		}
	}
}

// checkPath has something strange in each place of the path.
func (c *conformance) checkPath(example request) {
	c.Helper()
	for _, p := range example.parameters(openapi3.ParameterInPath) {
		for _, value := range strangeValues(p.Schema.Value, example.values[p.Name]) {
			meant, err := url.PathUnescape(value)
			if err != nil {
				c.Fatal(err)
			}
			what := fmt.Sprintf("%s, %s %.50q", example.operation.OperationID, p.Name, value)
			if p.Schema.Value.VisitJSON(meant) == nil {
				// Of another team, the token may see nothing.
				c.want(what, example.with(p.Name, value), example.success(), http.StatusNotFound, http.StatusForbidden)
				continue
			}
			problem := c.want(what, example.with(p.Name, value), http.StatusBadRequest)
			if problem.Details.Parameter != p.Name || problem.Details.Rule == "" {
				c.Errorf("%s: the response names %+v", what, problem.Details)
			}
		}
		c.want("an empty "+p.Name, example.with(p.Name, ""), http.StatusNotFound, http.StatusBadRequest)
		c.want("more segments in "+p.Name, example.with(p.Name, "a/b"), http.StatusNotFound)
	}
}

// checkQuery has something strange in each parameter of the query, and all of them twice.
func (c *conformance) checkQuery(example request) {
	c.Helper()
	unknown := example.success()
	if example.operation.Extensions["x-sensitive"] == true {
		unknown = http.StatusBadRequest
	}
	if example.body != "" { // these parameters are only for a request without a body
		example.headers, example.body, unknown = example.headers.Clone(), "", http.StatusBadRequest
		example.headers.Del("Content-Type")
	}
	for _, p := range example.parameters(openapi3.ParameterInQuery) {
		for value, rules := range strangeQueries(p) {
			r := example
			r.query = appendQuery(r.query, p.Name, value)
			what := fmt.Sprintf("%s, %s=%.50s", r.operation.OperationID, p.Name, value)
			problem := c.want(what, r, http.StatusBadRequest)
			if problem.Details.Parameter != p.Name || !strings.Contains(rules, problem.Details.Rule) ||
				problem.Details.Rule == "" {
				c.Errorf("%s: the response names %+v, want one of the rules %s", what, problem.Details, rules)
			}
		}
		if !p.Schema.Value.Type.Is(openapi3.TypeArray) {
			r := example
			written := url.QueryEscape(fmt.Sprint(p.Example))
			r.query = appendQuery(appendQuery(r.query, p.Name, written), p.Name, written)
			c.want("twice "+p.Name, r, http.StatusBadRequest)
		}
	}
	r := example
	r.query = appendQuery(r.query, "unknown", "%zz;1")
	c.want("a query that the contract does not have", r, unknown)
}

// strangeQueries returns values that the parameter cannot have, as they are sent, and the rules
// that each may break.
func strangeQueries(p *openapi3.Parameter) map[string]string {
	strange := map[string]string{"%zz": "style", "1;2": "style", "": "allowEmptyValue"}
	schema := p.Schema.Value
	if schema.Type.Is(openapi3.TypeArray) {
		schema = schema.Items.Value
	}
	switch {
	case schema.Type.Is(openapi3.TypeInteger):
		for _, value := range []string{"x", "1.5", "1e0", "%2B1", "01", "0x1", "%201", "1%20", "true", "null", "%EF%BC%91"} {
			strange[value] = "type"
		}
		strange["99999999999999999999"], strange["-99999999999999999999"] = "maximum", "minimum"
		if schema.Max != nil && *schema.Max < math.MaxInt64 {
			strange[strconv.FormatInt(int64(*schema.Max)+1, 10)] = "maximum"
		}
		if schema.Min != nil {
			strange[strconv.FormatInt(int64(*schema.Min)-1, 10)] = "minimum"
		}
	case schema.Type.Is(openapi3.TypeBoolean):
		for _, value := range []string{"1", "0", "TRUE", "yes", "t"} {
			strange[value] = "type"
		}
	case len(schema.Enum) > 0:
		strange[strings.ToLower(fmt.Sprint(schema.Enum[0]))+"x"] = "enum"
	case schema.Format == "date-time":
		for _, value := range []string{"yesterday", "2020-12-08", "2020-13-08T11:47:08Z", "1607428028"} {
			strange[value] = "format pattern"
		}
	}
	return strange
}
