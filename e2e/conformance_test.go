package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/contract"
)

func init() { openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder) }

// conformance sends requests that are made from the contract, and holds every response against it.
type conformance struct {
	*testing.T
	doc    *openapi3.T
	server *apiServer
	token  string
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

// under returns the request with other values of a header, or with none.
func (r request) under(name string, values ...string) request {
	r.headers = r.headers.Clone()
	r.headers.Del(name)
	for _, value := range values {
		r.headers.Add(name, value)
	}
	return r
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
	response, err := http.DefaultTransport.RoundTrip(&http.Request{
		Method:        r.method,
		Host:          host,
		Header:        r.headers,
		URL:           &url.URL{Scheme: "http", Host: host, Opaque: path, RawQuery: r.query},
		Body:          io.NopCloser(strings.NewReader(r.body)),
		ContentLength: int64(len(r.body)),
	})
	if err != nil {
		c.Fatalf("%s %s: %v", r.method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.Fatalf("%s %s: %v", r.method, path, err)
	}
	c.sent[response.StatusCode]++
	documented := r.method
	if c.doc.Paths.Value(r.path).GetOperation(r.method) == nil {
		for method := range c.doc.Paths.Value(r.path).Operations() {
			documented = method // whose errors are those of any
		}
	}
	if err := obeys(c.doc, r.path, documented, response, body); err != nil && r.method != http.MethodHead {
		c.Errorf(
			"%s %.200s %v: %d is not as the contract says: %v\n%.500s",
			r.method,
			path,
			r.headers,
			response.StatusCode,
			err,
			body,
		)
	}
	var result model.ErrorResult
	if response.StatusCode/100 != 2 && r.method != http.MethodHead {
		if err := json.Unmarshal(body, &result); err != nil {
			c.Errorf("%s %.200s: %d: %v: %.500s", r.method, path, response.StatusCode, err, body)
		}
	}
	return response.StatusCode, result.Error
}

// want sends the request and checks the status.
func (c *conformance) want(what string, r request, statuses ...int) model.Error {
	c.Helper()
	status, problem := c.send(r)
	if !slices.Contains(statuses, status) {
		c.Errorf(
			"%s: %s %.100q %v: the status is %d, want %d: %s",
			what,
			r.method,
			r.values,
			r.headers,
			status,
			statuses,
			problem.Message,
		)
	}
	return problem
}

// strangeValues are values for a parameter, as they are sent.
func strangeValues(schema *openapi3.Schema, example string) []string {
	values := []string{
		"a",
		"0",
		"-",
		"_",
		".a",
		"a.",
		"a-",
		"-a",
		"a.b_c-d",
		"A",
		"null",
		"true",
		"1e3",
		"%C3%A9",
		"%E2%80%AE",
		"%F0%9F%92%A9",
		"%FF",
		"%00",
		"%0A",
		"%0D%0A",
		"a%20b",
		"a+b",
		"a%2Bb",
		"a%09",
		"%22",
		"%27",
		"%3C%3E",
		"%5C",
		"%7B%7D",
		"%25",
		"%252F",
		"a%3Bb",
		"a%26b",
		"a%3Fb",
		"a%23b",
		"a;b=c",
		"a,b",
		"a:b",
		"a@b",
		"~",
		"!$&'()*",
		"a%2Fb",
		"%2F",
		"a%2F..%2Fb",
		"%2E%2E",
		"%2E",
		escaped(example),
		strings.ToLower(escaped(example)),
		escaped(escaped(example)),
		strings.Repeat("a", int(schema.MinLength)),
		strings.Repeat("%61", int(schema.MinLength)),
	}
	if schema.MaxLength != nil {
		most := int(*schema.MaxLength)
		values = append(
			values,
			strings.Repeat("a", most),
			strings.Repeat("%61", most),
			strings.Repeat("a", most+1),
			strings.Repeat("%C3%A9", most),
		)
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

// TestConformance asks the built server for all that the contract has, well and badly.
func TestConformance(t *testing.T) {
	store, _ := documentedStore(t)
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	create := []string{"token", "create", "--store", store, "--name", "everything"}
	for _, permission := range document.Permissions() {
		create = append(create, "--permission", permission)
	}
	token := output(t, "jobrund", create...)
	c := &conformance{T: t, doc: contractOf(t), server: serve(t, store), token: token, sent: map[int]int{}}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			example := c.example(path, method, op)
			c.want("the examples", example, example.success())
			c.checkPath(example)
			c.checkQuery(example)
			c.checkBody(example)
			c.checkHeaders(example)
			c.checkToken(example)
			c.checkMethods(example, item)
		}
	}
	for _, status := range []int{200, 400, 401, 404, 405} {
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

// checkHeaders leaves headers out, and has something strange in them.
func (c *conformance) checkHeaders(example request) {
	c.Helper()
	for _, p := range example.parameters(openapi3.ParameterInHeader) {
		without := example.success()
		if p.Required {
			without = http.StatusBadRequest
		}
		c.want("without "+p.Name, example.under(p.Name), without)
		for _, value := range []string{fmt.Sprint(p.Example), "", " ", ",", ";", "=", `"`, "\xff", "é", "wait=-1", "wait=1e9", "a\tb", strings.Repeat("a,", 2000)} {
			want := example.success()
			if p.Schema.Value.VisitJSON(strings.TrimSpace(value)) != nil ||
				p.Required && strings.TrimSpace(value) == "" {
				want = http.StatusBadRequest
			}
			c.want(fmt.Sprintf("%s %.50q", p.Name, value), example.under(p.Name, value), want)
			c.want(fmt.Sprintf("%s %.50q, twice", p.Name, value), example.under(p.Name, value, value), want)
		}
	}
	c.want("a header that the contract does not have", example.under("X-Unknown", "1"), example.success())
	for _, accept := range []string{"*/*", "text/plain", "application/xml;q=0.1", ";"} {
		c.want("Accept "+accept, example.under("Accept", accept), example.success())
	}
}

// checkToken sends what is no token to operations that want one, and to those that do not.
func (c *conformance) checkToken(example request) {
	c.Helper()
	want := example.success()
	if example.headers.Get("Authorization") != "" {
		want = http.StatusUnauthorized
	}
	c.want("no token", example.under("Authorization"), want)
	c.want("two tokens", example.under("Authorization", "Bearer "+c.token, "Bearer "+c.token), want)
	for _, value := range []string{"", "Bearer", "Bearer ", "Basic " + c.token, c.token, "Bearer " + c.token + "x", "Bearer a b", "Bearer \xff"} {
		c.want(fmt.Sprintf("Authorization %.20q", value), example.under("Authorization", value), want)
	}
}

// checkMethods uses every other method.
func (c *conformance) checkMethods(example request, item *openapi3.PathItem) {
	c.Helper()
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"} {
		if item.GetOperation(method) != nil {
			continue
		}
		r := example
		r.method = method
		want := http.StatusMethodNotAllowed
		if method == http.MethodHead && item.Get != nil {
			want = http.StatusOK
		}
		c.want(method, r, want)
	}
}
