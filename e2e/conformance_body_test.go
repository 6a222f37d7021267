package e2e

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// checkQuery has something strange in each parameter of the query, and all of them twice.
func (c *conformance) checkQuery(example request) {
	c.Helper()
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
	c.want("a query that the contract does not have", r, example.success())
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

// checkBody has something strange in the body, or a body that the contract does not have.
func (c *conformance) checkBody(example request) {
	c.Helper()
	with := func(body, contentType string) request {
		r := example.under("Content-Type", contentType)
		r.body = body
		return r
	}
	if example.operation.RequestBody == nil {
		c.want("a body that the contract does not have", with("{", "application/json"), example.success())
		return
	}
	most := 64 << 10
	if n, ok := example.operation.Extensions["x-max-bytes"].(float64); ok {
		most = int(n)
	}
	padded := func(n int) string {
		return example.body[:len(example.body)-1] + strings.Repeat(
			" ",
			max(0, n-len(example.body)),
		) + example.body[len(example.body)-1:]
	}
	c.want("the largest body", with(padded(most), "application/json"), example.success())
	c.want("a body that is too large", with(padded(most+1), "application/json"), http.StatusRequestEntityTooLarge)
	for _, contentType := range []string{"text/plain", "application/xml", "application/json2", "application/json; charset=utf-16", ";"} {
		c.want("Content-Type "+contentType, with(example.body, contentType), http.StatusUnsupportedMediaType)
	}
	c.want("Content-Encoding", example.under("Content-Encoding", "gzip"), http.StatusUnsupportedMediaType)
	schema := example.operation.RequestBody.Value.Content["application/json"].Schema.Value
	strange := []string{
		"null",
		"[]",
		"1",
		`"a"`,
		"{",
		"",
		" ",
		example.body + example.body,
		example.body + "]",
		"\xff",
		strings.Repeat("[", 1000),
	}
	for name, property := range schema.Properties {
		other := strings.ToUpper(name)
		if other == name {
			other = strings.ToLower(name)
		}
		if strings.Contains(example.body, `"`+name+`":`) {
			strange = append(strange, strings.Replace(example.body, `"`+name+`":`, `"`+other+`":`, 1),
				strings.Replace(example.body, `"`+name+`":`, `"`+name+`":null,"`+name+`":`, 1))
		}
		if property.Value.Type.Is(openapi3.TypeInteger) {
			for _, value := range []string{"1.5", "1e0", "99999999999999999999", `"1"`, "null", "true"} {
				strange = append(strange, fmt.Sprintf(`{%q:%s}`, name, value))
			}
		}
	}
	for _, body := range strange {
		if len(body) > most {
			continue
		}
		problem := c.want(fmt.Sprintf("the body %.60q", body), with(body, "application/json"), http.StatusBadRequest)
		if problem.Details.Rule == "" {
			c.Errorf("the body %.60q: the response names no rule", body)
		}
	}
}
