package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// bodySchema is that of the bodies in these tests, and bodyType what generated code would decode
// them into.
const bodySchema = `{type: object, required: [n], properties: {
  n: {type: integer, minimum: 1, maximum: 9},
  small: {type: integer, format: int32},
  name: {type: string, maxLength: 5},
  at: {type: string, format: date-time},
  env: {type: object, additionalProperties: {type: string, maxLength: 3}},
  list: {type: array, maxItems: 2, items: {type: object, properties: {deepName: {type: string, maxLength: 3}}}},
  big: {allOf: [{type: integer}], format: int32},
  x32: {type: number},
  either: {anyOf: [{type: string, format: date-time}, {type: string, maxLength: 3}, {type: object, properties: {inEither: {type: string}}}]},
  part: {allOf: [{type: object, properties: {inPart: {type: string, maxLength: 3}}}]},
  id: {type: string, readOnly: true}}}`

type bodyType struct {
	N     int               `json:"n"`
	Small *int32            `json:"small,omitempty"`
	Name  *string           `json:"name,omitempty"`
	At    *time.Time        `json:"at,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	List  []struct {
		DeepName *string `json:"deepName,omitempty"`
	} `json:"list,omitempty"`
	Big  *int32   `json:"big,omitempty"`
	X32  *float32 `json:"x32,omitempty"`
	Part *struct {
		InPart *string `json:"inPart,omitempty"`
	} `json:"part,omitempty"`
}

func withBody(t testing.TB, more string) *Operation {
	t.Helper()
	return operationOf(
		t,
		"  /a:\n    post: {operationId: a, x-required-permission: A, "+more+"responses: {'413': {description: d}, '415': {description: d}},"+
			" requestBody: {required: true, content: {application/json: {schema: "+strings.ReplaceAll(
			bodySchema,
			"\n",
			" ",
		)+"}}}}\n",
	)
}

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/a", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestBodiesAreCheckedAsTheyAreDecoded(t *testing.T) {
	o := withBody(t, "")
	for body, want := range map[string]string{ // the pointer and the rule, or "" if it is accepted
		`{"n":1}`: "", " {\"n\" : 9 ,\"x\":[{\"a\":1}]} \n": "", `{"n":1,"env":{"a":"b","A":"c"}}`: "", `{"n":1,"small":-2147483648}`: "",
		`{}`: "/n required", `{"n":0}`: "/n minimum", `{"n":10}`: "/n maximum", `{"n":1.0}`: "/n type", `{"n":1e0}`: "/n type", `{"n":1.5}`: "/n type",
		`{"n":9223372036854775808}`: "/n maximum", `{"n":"1"}`: "/n type", `{"n":null}`: "/n nullable", `{"n":1,"small":2147483648}`: "/small format",
		`{"n":1,"N":5}`: "/N properties", `{"N":5}`: "/n required", `{"n":1,"ENV":{"a":"long"}}`: "/ENV properties",
		`{"n":1,"env":{"a":"long"}}`: "/env/a maxLength", `{"n":1,"env":{"a/b~c":"long"}}`: "/env/a~1b~0c maxLength",
		`{"n":1,"list":[{},{"deepName":"long"}]}`: "/list/1/deepName maxLength", `{"n":1,"list":[{"DEEPNAME":"a"}]}`: "/list/0/DEEPNAME properties",
		`{"n":1,"list":[{},{},{}]}`: "/list maxItems", `{"n":1,"part":{"INPART":"a"}}`: "/part/INPART properties", `{"n":1,"part":{"inPart":"long"}}`: "/part/inPart maxLength",
		`{"n":1,"at":"2020-12-08T11:47:08Z"}`: "", `{"n":1,"at":"2020-13-08T11:47:08Z"}`: "/at format", `{"n":1,"at":"2020-12-08"}`: "/at format",
		`{"n":1,"id":"x"}`: "/id readOnly", `{"n":1,"big":2147483648}`: "/big type", `{"n":1,"x32":1e39}`: "/x32 type", `{"n":1,"x32":1e38}`: "",
		`{"n":1,"either":"abc"}`: "", `{"n":1,"either":"2020-12-08T11:47:08Z"}`: "", `{"n":1,"either":"none"}`: "/either anyOf",
		`{"n":1,"either":{"INEITHER":"a"}}`: "/either/INEITHER properties", `{"n":1,"env":{"N":"a"}}`: "",
		``: " required", ` `: " type", `{`: " type", `[]`: " type", `null`: " nullable", `{"n":1}x`: " type", `{"n":1}{"n":2}`: " type", `{"n":1}]`: " type",
		`{"n":1,"n":2}`: " type", `{"n":1,"\u006e":2}`: " type", `{"n":1,"x":{"a":1,"a":2}}`: " type", `{"n":1,"x":"\":\""}`: "", `{"n":1,"x":"::"}`: "",
		"{\"n\":1,\"x\":\"\xff\"}": " type", `{"n":1,"x":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`: " type",
		`{"n":1,"x":` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + `}`: "", strings.Repeat("[", 60000): " type",
	} {
		r := post(body)
		err := o.ReadBody(r)
		var v *Violation
		got := ""
		if errors.As(err, &v) {
			got = v.Pointer + " " + v.Rule
		}
		if got != want || (err == nil) != (want == "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%.80s: %v (%s), want %q", body, err, got, want)
		}
		if err == nil {
			read, err := io.ReadAll(r.Body)
			if err != nil || string(read) != body || r.ContentLength != int64(len(body)) {
				t.Errorf("%.80s: the handler gets %q of %d bytes, %v", body, read, r.ContentLength, err)
			}
		}
	}
}

// limited fails the test if more of it is read than that.
type limited struct {
	testing.TB
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n := min(len(p), 1000)
	if l.left -= n; l.left < 0 {
		l.Error("too much of the body is read")
	}
	for i := range p[:n] {
		p[i] = ' '
	}
	return n, nil
}

func TestBodiesAreBounded(t *testing.T) {
	padded := func(n int) string { return `{"n":1` + strings.Repeat(" ", n-len(`{"n":1}`)) + `}` }
	for more, most := range map[string]int{"": 64 << 10, "x-max-bytes: 100, ": 100} {
		o := withBody(t, more)
		if err := o.ReadBody(post(padded(most))); err != nil {
			t.Errorf("%d bytes: %v", most, err)
		}
		if err := o.ReadBody(post(padded(most + 1))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v", most+1, err)
		}
		announced := post("")
		announced.Body, announced.ContentLength = io.NopCloser(&limited{t, 0}), int64(most+1)
		if err := o.ReadBody(announced); !errors.Is(err, ErrTooLarge) {
			t.Errorf("announced: %v", err)
		}
		for n, good := range map[int]bool{most: true, most + 1: false} {
			chunked := post(padded(n))
			chunked.ContentLength = -1
			if err := o.ReadBody(chunked); (err == nil) != good || err != nil && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d bytes in chunks: %v", n, err)
			}
		}
		endless := post("")
		endless.Body, endless.ContentLength = io.NopCloser(&limited{t, most + 2000}), -1
		if err := o.ReadBody(endless); !errors.Is(err, ErrTooLarge) {
			t.Errorf("endless: %v", err)
		}
	}
}

func TestMediaTypesOfBodies(t *testing.T) {
	o := withBody(t, "")
	for _, test := range []struct {
		contentType, encoding string
		good                  bool
	}{
		{"application/json", "", true}, {"Application/JSON; charset=UTF-8", "identity", true}, {"application/json;charset=\"utf-8\"", "", true},
		{"", "", false}, {"text/plain", "", false}, {"application/json, text/plain", "", false}, {"application/problem+json", "", false},
		{"application/json", "identity\ngzip", false}, {"application/json; charset=latin1", "", false}, {";", "", false}, {"application/json", "gzip", false}, {"application/json", "identity, gzip", false},
	} {
		r := post(`{"n":1}`)
		r.Header.Set("Content-Type", test.contentType)
		for line := range strings.SplitSeq(test.encoding, "\n") {
			if line != "" {
				r.Header.Add("Content-Encoding", line)
			}
		}
		err := o.ReadBody(r)
		if (err == nil) != test.good || err != nil && !errors.Is(err, ErrMediaType) {
			t.Errorf("%q, %q: %v", test.contentType, test.encoding, err)
		}
	}
}

// FuzzBody checks that what is accepted is decoded, and that what was decoded is within the schema.
func FuzzBody(f *testing.F) {
	for _, body := range []string{`{"n":1}`, `{"n":1,"N":50}`, `{"n":1,"env":{"a":"b"}}`, `{"n":1,"list":[{"deepName":"a"}]}`, `{"n":1e0}`, `{"n":1,"at":"2020-12-08T11:47:08Z"}`} {
		f.Add([]byte(body))
	}
	o := withBody(f, "")
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post("")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if o.ReadBody(r) != nil {
			return
		}
		var decoded bodyType
		if err := json.NewDecoder(r.Body).Decode(&decoded); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		text, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.ReadBody(post(string(text))); err != nil {
			t.Errorf("%q was decoded as %s: %v", body, text, err)
		}
	})
}
