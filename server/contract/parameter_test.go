package contract

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oapi-codegen/runtime"
)

// withParameters returns an operation with the parameters.
func withParameters(t testing.TB, parameters string) *Operation {
	t.Helper()
	return operationOf(
		t,
		"  /a/{id}:\n    get:\n      operationId: a\n      responses: {default: {description: d}}\n      parameters:\n"+parameters,
	)
}

// checkQuery checks a request with the query, and returns what it has then.
func checkQuery(o *Operation, query string) (*http.Request, error) {
	r := httptest.NewRequest(http.MethodGet, "/a/1", nil)
	r.URL.RawQuery = query
	return r, o.CheckParameters(r, func(string) string { return "1" })
}

func TestQueryParameters(t *testing.T) {
	o := withParameters(t, `
        - {name: n, in: query, schema: {type: integer, minimum: -5, maximum: 100}}
        - {name: n32, in: query, schema: {type: integer, format: int32}}
        - {name: x, in: query, schema: {type: number, minimum: 0.5}}
        - {name: b, in: query, schema: {type: boolean}}
        - {name: e, in: query, schema: {type: string, enum: [up, down]}}
        - {name: s, in: query, schema: {type: string, minLength: 2, maxLength: 4, pattern: '^[a-zé😀]+$'}}
        - {name: t, in: query, schema: {type: string, format: date-time}}
        - {name: l, in: query, schema: {type: array, minItems: 1, maxItems: 2, uniqueItems: true, items: {type: integer, minimum: 1, maximum: 9}}}
        - {name: empty, in: query, allowEmptyValue: true, schema: {type: string}}
        - {name: deep, in: query, style: deepObject, explode: true, schema: {type: object, properties: {a: {type: integer, maximum: 3}}}}
        - {name: json, in: query, content: {application/json: {schema: {type: object, properties: {a: {type: integer, maximum: 3}}}}}}
        - {name: all, in: query, schema: {allOf: [{type: integer, maximum: 3, minimum: 1}]}}
`)
	for query, want := range map[string]string{ // the parameter and the rule, or "" if it is accepted
		"": "", "n=-5": "", "n=100": "", "n=0": "", "n=101": "n maximum", "n=-6": "n minimum", "n=99999999999999999999": "n maximum",
		"n=-99999999999999999999": "n minimum", "n=%2B5": "n type", "n=05": "n type", "n=-0": "n type", "n=1e1": "n type", "n=0x1": "n type", "n=%205": "n type",
		"n=5%20": "n type", "n=5.0": "n type", "n=": "n allowEmptyValue", "n": "n allowEmptyValue", "n=1&n=2": "n type", "n=%zz": "n style", "n=1;x=2": "n style",
		"%6e=101": "n maximum", "N=x": "", "unknown=%zz": "", "unknown;": "", "n32=2147483647": "", "n32=2147483648": "n32 maximum",
		"x=0.5": "", "x=1": "", "x=0.4": "x minimum", "x=a": "x type",
		"b=true": "", "b=false": "", "b=maybe": "b type", "b=1": "b type", "b=TRUE": "b type",
		"b=true&b=false": "b type", "b=": "b allowEmptyValue", "b=%zz": "b style", "e=up": "", "e=UP": "e enum", "e=up,down": "e enum",
		"s=ab": "", "s=a": "s minLength", "s=abcde": "s maxLength", "s=a1": "s pattern", "s=%C3%A9%C3%A9": "", "s=%C3%A9": "s minLength",
		"t=2020-12-08T11:47:08Z": "", "t=2020-12-08T11:47:08.5%2B01:00": "", "t=2020-12-08": "t format", "t=now": "t format",
		"l=1": "", "l=1&l=2": "", "l=1&l=1": "l uniqueItems", "l=1&l=2&l=3": "l maxItems", "l=0": "l minimum", "l=1,2": "l type", "l=1&l=": "l allowEmptyValue",
		"empty=": "", "empty": "", "deep[a]=3": "", "deep[a]=4": "deep maximum", "deep[a]=x": "deep type", `json={"a":3}`: "", `json={"a":4}`: "json maximum", "json={": "json content", "all=3": "", "all=4": "all maximum",
	} {
		_, err := checkQuery(o, query)
		var v *Violation
		got := ""
		if errors.As(err, &v) {
			got = v.Parameter + " " + v.Rule
			if !errors.Is(err, ErrInvalid) || v.In != "query" ||
				!strings.HasPrefix(err.Error(), `query parameter "`+v.Parameter+`" breaks the rule "`+v.Rule+`": `) {
				t.Errorf("%q: %v in %s", query, err, v.In)
			}
		}
		if got != want || (err == nil) != (want == "") {
			t.Errorf("%q: %v, want %q", query, err, want)
		}
	}
}

func TestRequiredQueryParameter(t *testing.T) {
	o := withParameters(t, "        - {name: q, in: query, required: true, schema: {type: string}}\n")
	var v *Violation
	if _, err := checkQuery(o, "p=1"); !errors.As(err, &v) || v.Rule != "required" || v.Parameter != "q" {
		t.Errorf("%v", err)
	}
}

func TestDefaultsAreWrittenIntoTheQuery(t *testing.T) {
	o := withParameters(t, `
        - {name: n, in: query, schema: {type: integer, default: 50}}
        - {name: b, in: query, schema: {type: boolean, default: false}}
        - {name: s, in: query, schema: {allOf: [{type: string, default: 'a&b c'}]}}
        - {name: l, in: query, schema: {type: array, items: {type: string}, default: [x, y]}}
`)
	for query, want := range map[string]url.Values{
		"":      {"n": {"50"}, "b": {"false"}, "s": {"a&b c"}, "l": {"x", "y"}},
		"n=1":   {"n": {"1"}, "b": {"false"}, "s": {"a&b c"}, "l": {"x", "y"}},
		"l=z&u": {"n": {"50"}, "b": {"false"}, "s": {"a&b c"}, "l": {"z"}, "u": {""}},
	} {
		r, err := checkQuery(o, query)
		if got := r.URL.Query(); err != nil || got.Encode() != want.Encode() {
			t.Errorf("%q: %v, %v, want %v", query, err, got, want)
		}
	}
}

func TestHeaderAndPathParameters(t *testing.T) {
	o := withParameters(t, `
        - {name: id, in: path, required: true, schema: {type: string, maxLength: 3}}
        - {name: X-Reason, in: header, required: true, schema: {type: string, minLength: 3}}
        - {name: prefer, in: header, schema: {type: string}}
        - {name: X-N, in: header, schema: {type: integer, minimum: 1, maximum: 9}}
        - {name: X-B, in: header, schema: {type: boolean}}
`)
	for _, test := range []struct {
		id     string
		header http.Header
		want   string
	}{
		{"abc", http.Header{"X-Reason": {"audit"}}, ""},
		{"abcd", http.Header{"X-Reason": {"audit"}}, "path id maxLength"},
		{"", http.Header{"X-Reason": {"audit"}}, "path id required"},
		{"a", http.Header{}, "header X-Reason required"},
		{"a", http.Header{"X-Reason": {""}}, "header X-Reason required"},
		{"a", http.Header{"X-Reason": {"no"}}, "header X-Reason minLength"},
		{"a", http.Header{"X-Reason": {"audit"}, "X-N": {"9"}, "X-B": {"true"}}, ""},
		{"a", http.Header{"X-Reason": {"audit"}, "X-N": {"10"}}, "header X-N maximum"},
		{"a", http.Header{"X-Reason": {"audit"}, "X-N": {"+9"}}, "header X-N type"},
		{"a", http.Header{"X-Reason": {"audit"}, "X-N": {"1", "2"}}, "header X-N type"},
		{"a", http.Header{"X-Reason": {"audit"}, "X-B": {"maybe"}}, "header X-B type"},
		{"a", http.Header{"X-Reason": {"n", "o"}, "Prefer": {"a", "b"}}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/a/x", nil)
		r.Header = test.header
		err := o.CheckParameters(r, func(string) string { return test.id })
		var v *Violation
		got := ""
		if errors.As(err, &v) {
			got = v.In + " " + v.Parameter + " " + v.Rule
		}
		if got != test.want {
			t.Errorf("%q %v: %v, want %q", test.id, test.header, err, test.want)
		}
		if lines := r.Header["Prefer"]; len(lines) > 1 || len(lines) == 1 && lines[0] != "a, b" {
			t.Errorf("several lines of a header became %q", lines)
		}
	}
}

func TestParametersOfAnOperationOverrideThoseOfItsPath(t *testing.T) {
	o := operationOf(t, `
  /a:
    parameters: [{name: n, in: query, schema: {type: integer, maximum: 1}}, {name: m, in: query, schema: {type: integer, maximum: 1}}]
    get: {operationId: a, responses: {default: {description: d}}, parameters: [{name: n, in: query, schema: {type: integer, maximum: 5}}]}
`)
	for query, good := range map[string]bool{"n=5": true, "n=6": false, "m=1": true, "m=2": false} {
		if _, err := checkQuery(o, query); (err == nil) != good {
			t.Errorf("%q: %v", query, err)
		}
	}
}

// FuzzQueryParameters checks that generated code reads what is accepted, and as the same value.
func FuzzQueryParameters(f *testing.F) {
	for _, query := range []string{"n=1", "n=+1", "n=%31", "l=a&l=b", "l=a,b", "n=1&n=2", "n=1;b=2", "%6e=3", "n", "l="} {
		f.Add(query)
	}
	o := withParameters(f, `
        - {name: n, in: query, schema: {type: integer, minimum: -100, maximum: 100}}
        - {name: l, in: query, schema: {type: array, maxItems: 3, items: {type: string}}}
`)
	f.Fuzz(func(t *testing.T, query string) {
		r, err := checkQuery(o, query)
		if err != nil {
			return
		}
		var n *int
		var l *[]string
		for _, p := range []struct {
			name, typ string
			into      any
		}{{"n", "integer", &n}, {"l", "array", &l}} {
			if err := runtime.BindQueryParameterWithOptions("form", true, false, p.name, r.URL.Query(), p.into,
				runtime.BindQueryParameterOptions{Type: p.typ}); err != nil {
				t.Errorf("%q: %s: %v", query, p.name, err)
			}
		}
		values := r.URL.Query()
		if sent := values.Get(
			"n",
		); values.Has("n") != (n != nil) ||
			n != nil && (*n < -100 || *n > 100 || strconv.Itoa(*n) != sent) {
			t.Errorf("%q: n is %v", query, n)
		}
		if sent := values["l"]; values.Has("l") != (l != nil) || l != nil && (len(*l) > 3 || !slices.Equal(*l, sent)) {
			t.Errorf("%q: l is %v", query, l)
		}
	})
}
