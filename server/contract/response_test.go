package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/jobruns/jobruns/gen/model"
)

// The response objects of generated code come in these forms.
type (
	listBody struct {
		Data struct {
			Runs []model.JobRun `json:"runs"`
		} `json:"data"`
	}
	listHeaders struct{ Limit *int }
	listShared  struct {
		Body    listBody
		Headers listHeaders
	}
	list200JSONResponse struct{ listShared }
	plain200Response    listBody
)

// listing returns an operation whose response is a list of runs, with the schemas of openapi.yaml.
func listing(t testing.TB) *Operation {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	doc := written(t, `
  /a:
    get:
      operationId: a
      responses:
        '200':
          description: d
          headers: {X-Limit: {required: true, schema: {type: integer, minimum: 1}}, X-Other: {schema: {type: string}}}
          content:
            application/json:
              schema: {type: object, required: [data], properties: {data: {type: object, required: [runs], properties: {
                runs: {type: array, maxItems: 100, items: {type: object}}}}}}
        '204': {description: d}
        '400': {description: d, content: {text/html: {schema: {type: string, maxLength: 3}}}}
`)
	data := doc.Paths.Value("/a").Get.Responses.Status(200).Value.Content["application/json"].Schema.Value.Properties["data"].Value
	data.Properties["runs"].Value.Items = d.doc.Components.Schemas["JobRun"]
	prepared, err := Prepare(doc)
	if err != nil {
		t.Fatal(err)
	}
	return prepared.Operations()[0]
}

func goodRun() model.JobRun {
	at := time.Date(2020, 12, 8, 11, 52, 8, 0, time.UTC)
	return model.JobRun{
		ID:          "a",
		RunName:     "a-1",
		Status:      model.JobRunStatusSuccess,
		Concluded:   true,
		StartedAt:   at,
		ConcludedAt: &at,
	}
}

var listHeader = http.Header{"Content-Type": {"application/json"}, "X-Limit": {"1"}}

func TestBadRowsAreLeftOutOfAList(t *testing.T) {
	o := listing(t)
	for name, bad := range map[string][]int{"none": {}, "first": {0}, "middle": {2}, "last": {4}, "some": {0, 1, 4}, "all": {0, 1, 2, 3, 4}} {
		var body, want listBody
		body.Data.Runs, want.Data.Runs = []model.JobRun{}, []model.JobRun{}
		for i := range 5 {
			run := goodRun()
			run.ID = fmt.Sprint(i)
			isBad := false
			for _, b := range bad {
				isBad = isBad || b == i
			}
			if isBad {
				run.RunName = ""
			} else {
				want.Data.Runs = append(want.Data.Runs, run)
			}
			body.Data.Runs = append(body.Data.Runs, run)
		}
		text, err := json.MarshalIndent(body, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []any{list200JSONResponse{listShared{Body: body}}, plain200Response(body), nil} {
			kept, dropped, err := o.CheckResponse(200, listHeader, text, value)
			if err != nil || len(dropped) != len(bad) {
				t.Fatalf("%s, %T: %d dropped, %v", name, value, len(dropped), err)
			}
			for _, d := range dropped {
				if !strings.Contains(d.Error(), "the response breaks the contract: data.runs.") ||
					!strings.Contains(d.Error(), ".runName: ") {
					t.Errorf("%s: %v", name, d)
				}
			}
			var got bytes.Buffer // compact, so that the order of the fields is compared too
			if err := json.Compact(&got, kept); err != nil {
				t.Fatalf("%s: %v: %s", name, err, kept)
			}
			wantText, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(wantText) {
				t.Errorf("%s, %T: kept %s, want %s", name, value, got.String(), wantText)
			}
		}
	}
}

func TestResponsesOutsideTheDocumentAreRefused(t *testing.T) {
	o := listing(t)
	html := func(text string) (int, http.Header, string) {
		return 400, http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, text
	}
	for name, test := range map[string]struct {
		status int
		header http.Header
		body   string
		says   string
	}{
		"good":             {200, listHeader, `{"data":{"runs":[]}}`, ""},
		"nothing":          {204, http.Header{}, "", ""},
		"a null list":      {200, listHeader, `{"data":{"runs":null}}`, "data.runs: "},
		"no list":          {200, listHeader, `{"data":{}}`, "runs"},
		"another status":   {201, listHeader, `{}`, "the status 201 is not in the document"},
		"a header missing": {200, http.Header{"Content-Type": {"application/json"}}, `{"data":{"runs":[]}}`, "the header X-Limit is missing"},
		"a bad header":     {200, http.Header{"Content-Type": {"application/json"}, "X-Limit": {"0"}}, `{"data":{"runs":[]}}`, "header X-Limit: "},
		"another type":     {200, http.Header{"Content-Type": {"text/plain"}, "X-Limit": {"1"}}, `{}`, `media type "text/plain"`},
		"not JSON":         {200, listHeader, `{`, "JSON"},
	} {
		_, _, err := o.CheckResponse(test.status, test.header, []byte(test.body), nil)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
	for text, good := range map[string]bool{"abc": true, "abcd": false} {
		status, header, body := html(text)
		if _, _, err := o.CheckResponse(status, header, []byte(body), nil); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestResponsesAreFoundByTheirStatus(t *testing.T) {
	o := operationOf(t, `
  /a:
    get:
      operationId: a
      responses:
        '200': {description: d, content: {application/json: {schema: {type: object, required: [exact]}}}}
        2XX: {description: d, content: {application/json: {schema: {type: object, required: [range]}}}}
        default:
          description: d
          headers: {X-Any: {}, X-Content: {content: {application/json: {schema: {type: object}}}}}
          content: {application/json: {schema: {type: object, required: [other]}}}
`)
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Any": {"1"}, "X-Content": {"{}"}}
	for status, field := range map[int]string{200: "exact", 201: "range", 404: "other", 500: "other"} {
		if _, _, err := o.CheckResponse(status, header, []byte(`{"`+field+`":1}`), nil); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if _, _, err := o.CheckResponse(
			status,
			header,
			[]byte(`{}`),
			nil,
		); err == nil ||
			!strings.Contains(err.Error(), field) {
			t.Errorf("%d: %v, want %s to be missing", status, err, field)
		}
	}
}

func TestElementsOfSeveralListsAreLeftOut(t *testing.T) {
	o := operationOf(t, `
  /a:
    get:
      operationId: a
      responses:
        '200': {description: d, content: {application/json: {schema: {type: object, properties: {
          a/b: &list {type: array, items: {type: object, required: [n]}}, m: {type: array, items: *list}, c: {type: array, minItems: 2, items: {type: object, required: [n]}},
          s: {type: array, items: {type: string}}}}}}}
`)
	header := http.Header{"Content-Type": {"application/json"}}
	for body, want := range map[string]string{ // "" where it is refused
		`{ "a/b" : [ {} , {"n":1} , {} ], "m": [[{"n":2},{}],[{}]] }`: `{"a/b":[{"n":1}],"m":[[{"n":2}],[]]}`,
		`{"c":[{"n":1},{"n":2},{}]}`:                                  `{"c":[{"n":1},{"n":2}]}`,
		`{"c":[{"n":1},{}]}`:                                          "", // then there are too few
		`{"s":["a",1]}`:                                               "", // no object
		`{"a/b":[{},{}],"s":[1]}`:                                     "",
	} {
		kept, _, err := o.CheckResponse(200, header, []byte(body), nil)
		var got bytes.Buffer
		if err == nil {
			if err := json.Compact(&got, kept); err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("%s: kept %q, %v, want %q", body, got.String(), err, want)
		}
	}
}

// TestPreparedLeavesOutWhatJSONDoes has fields that encoding/json leaves out, or writes although
// they are empty.
func TestPreparedLeavesOutWhatJSONDoes(t *testing.T) {
	type inner struct {
		N int `json:"n"`
	}
	type value struct {
		Struct    inner     `json:"struct,omitempty"`
		ZeroTime  time.Time `json:"zeroTime,omitempty"`
		Slice     []int     `json:"slice,omitzero"`
		LeftSlice []int     `json:"leftSlice,omitempty"`
		LeftZero  inner     `json:"leftZero,omitzero"`
		LeftInt   int       `json:"leftInt,omitempty"`
	}
	item := "{type: array, minItems: 1, items: {type: integer}}"
	o := operationOf(t, `
  /a: {get: {operationId: a, responses: {'200': {description: d, content: {application/json: {schema: {type: object, properties: {
    struct: {type: object, properties: {n: {type: integer, minimum: 1}}}, zeroTime: {type: string, format: date-time, pattern: '^2'},
    slice: `+item+`, leftSlice: `+item+`, leftInt: {type: integer, minimum: 1},
    leftZero: {type: object, properties: {n: {type: integer, minimum: 1}}}}}}}}}}}
`)
	header := http.Header{"Content-Type": {"application/json"}}
	good := value{Struct: inner{1}, ZeroTime: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	for name, change := range map[string]func(*value){
		"good": func(*value) {}, "struct": func(v *value) { v.Struct = inner{} }, "zeroTime": func(v *value) { v.ZeroTime = time.Time{} },
		"slice": func(v *value) { v.Slice = []int{} },
	} {
		v := good
		change(&v)
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = o.CheckResponse(200, header, body, v)
		if (err == nil) != (name == "good") {
			t.Errorf("%s: %v: %s", name, err, body)
		}
	}
}

// tree contains itself, as what oapi-codegen makes of a schema does that refers to itself.
type tree struct {
	Name     string `json:"name"`
	Children []tree `json:"children"`
}

func TestValuesThatContainThemselvesAreInterpreted(t *testing.T) {
	doc := written(
		t,
		"  /a: {get: {operationId: a, responses: {'200': {description: d, content: {application/json: {schema: {type: object}}}}}}}\n",
	)
	schema := &openapi3.SchemaRef{
		Value: openapi3.NewObjectSchema().WithProperty("name", openapi3.NewStringSchema().WithMinLength(1)),
	}
	children := openapi3.NewArraySchema()
	children.Items = schema
	schema.Value.WithProperty("children", children)
	doc.Paths.Value("/a").Get.Responses.Status(200).Value.Content["application/json"].Schema = schema
	d, err := Prepare(doc)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	value := tree{"a", []tree{{"b", []tree{{"", nil}}}}}
	kept, dropped, err := d.Operations()[0].CheckResponse(
		200,
		header,
		[]byte(`{"name":"a","children":[{"name":"b","children":[{"name":"","children":[]}]}]}`),
		value,
	)
	if err != nil || len(dropped) != 1 || string(kept) != `{"name":"a","children":[]}` {
		t.Errorf("%s, %v, %v", kept, dropped, err)
	}
}

func TestSchemaOf(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SchemaOf[model.JobRun](d, "Nothing"); err == nil {
		t.Error("a schema that the document does not have")
	}
	check, err := SchemaOf[model.JobRunResult](d, "JobRunResult")
	if err != nil {
		t.Fatal(err)
	}
	good := model.JobRunResult{Data: goodRun()}
	if err := check(&good); err != nil {
		t.Error(err)
	}
	good.Data.RunName = ""
	if err := check(
		&good,
	); err == nil ||
		!strings.HasPrefix(err.Error(), "the response breaks the contract: data.runName: ") {
		t.Error(err)
	}
}

// TestPreparedIsAsInterpreted checks that what a prepared check accepts, kin-openapi accepts too,
// and that all of a run is prepared.
func TestPreparedIsAsInterpreted(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	schema := d.doc.Components.Schemas["JobRunResult"]
	accept := prepareType(schema, reflect.TypeFor[model.JobRunResult]())
	if accept == nil {
		t.Fatal("what the document says of runs is not prepared: it is interpreted for each response")
	}
	text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9._-]{0,5}`), rapid.String())
	number := rapid.OneOf(rapid.IntRange(-1, 2), rapid.Int())
	rapid.Check(t, func(t *rapid.T) {
		run := goodRun()
		run.ID, run.RunName = text.Draw(t, "id"), text.Draw(t, "runName")
		run.Active, run.Completions = model.Flag(number.Draw(t, "active")), number.Draw(t, "completions")
		run.Status = model.JobRunStatus(rapid.SampledFrom([]string{"SUCCESS", "FAILED", "x", ""}).Draw(t, "status"))
		run.StartedAt = time.Unix(
			rapid.Int64Range(-99999999999, 999999999999).Draw(t, "at"),
			rapid.Int64Range(0, 1).Draw(t, "ns"),
		).UTC()
		result := model.JobRunResult{Data: run}
		body, err := json.Marshal(result)
		if err != nil {
			return
		}
		_, violations := violationsOf(schema.Value, body)
		if accept(reflect.ValueOf(&result).Elem()) && len(violations) > 0 {
			t.Errorf("%s is accepted, and breaks the contract: %v", body, violations[0])
		}
	})
	good := model.JobRunResult{Data: goodRun()}
	if !accept(reflect.ValueOf(&good).Elem()) {
		t.Error("a good run has to be interpreted")
	}
}

func BenchmarkCheckResponse(b *testing.B) {
	o := listing(b)
	single, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	checkRun, err := SchemaOf[model.JobRunResult](single, "JobRunResult")
	if err != nil {
		b.Fatal(err)
	}
	run := model.JobRunResult{Data: goodRun()}
	b.Run("prepared/run", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := checkRun(&run); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, rows := range []int{1, 100} {
		var body listBody
		for range rows {
			body.Data.Runs = append(body.Data.Runs, goodRun())
		}
		text, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		for name, value := range map[string]any{"prepared": plain200Response(body), "interpreted": nil} {
			b.Run(fmt.Sprintf("%s/%d", name, rows), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := o.CheckResponse(200, listHeader, text, value); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
