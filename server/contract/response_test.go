package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

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
	return model.JobRun{ID: "a", RunName: "a-1", Status: model.JobRunStatusSuccess, Concluded: true, StartedAt: at, ConcludedAt: &at}
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
				if !strings.Contains(d.Error(), "the response breaks the contract: data.runs.") || !strings.Contains(d.Error(), ".runName: ") {
					t.Errorf("%s: %v", name, d)
				}
			}
			var got listBody
			if err := json.Unmarshal(kept, &got); err != nil {
				t.Fatalf("%s: %v: %s", name, err, kept)
			}
			gotText, _ := json.Marshal(got)
			wantText, _ := json.Marshal(want)
			if string(gotText) != string(wantText) {
				t.Errorf("%s, %T: kept %s, want %s", name, value, gotText, wantText)
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

// TestPreparedIsAsInterpreted checks that what a prepared check accepts, kin-openapi accepts too, and that all of a run is
// prepared.
func TestPreparedIsAsInterpreted(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	schema := d.doc.Components.Schemas["JobRunResult"]
	accept, ok := prepareValue(schema, reflect.TypeFor[model.JobRunResult]())
	if !ok {
		t.Fatal("what the document says of runs is not prepared: it is interpreted for each response")
	}
	text := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9._-]{0,5}`), rapid.String())
	number := rapid.OneOf(rapid.IntRange(-1, 2), rapid.Int())
	rapid.Check(t, func(t *rapid.T) {
		run := goodRun()
		run.ID, run.RunName = text.Draw(t, "id"), text.Draw(t, "runName")
		run.Active, run.Completions = model.Flag(number.Draw(t, "active")), number.Draw(t, "completions")
		run.Status = model.JobRunStatus(rapid.SampledFrom([]string{"SUCCESS", "FAILED", "x", ""}).Draw(t, "status"))
		run.StartedAt = time.Unix(rapid.Int64Range(-99999999999, 999999999999).Draw(t, "at"), rapid.Int64Range(0, 1).Draw(t, "ns")).UTC()
		result := model.JobRunResult{Data: run}
		body, err := json.Marshal(result)
		if err != nil {
			return
		}
		prepared, interpreted := accept(reflect.ValueOf(&result).Elem()), checkBody(schema.Value, body)
		if prepared && interpreted != nil {
			t.Errorf("%s is accepted, and breaks the contract: %v", body, interpreted)
		}
	})
	good := model.JobRunResult{Data: goodRun()}
	if !accept(reflect.ValueOf(&good).Elem()) {
		t.Error("a good run has to be interpreted")
	}
}

func BenchmarkCheckResponse(b *testing.B) {
	o := listing(b)
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
