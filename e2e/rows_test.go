package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"pgregory.net/rapid"

	"github.com/jobruns/jobruns"
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

// obeys returns an error unless the contract allows the response, whose body has been read, to a
// request for the path of an operation.
func obeys(doc *openapi3.T, path, method string, response *http.Response, body []byte) error {
	item := doc.Paths.Value(path)
	request, err := http.NewRequest(method, "/", nil)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route: &routers.Route{
				Spec:      doc,
				Path:      path,
				PathItem:  item,
				Method:    method,
				Operation: item.GetOperation(method),
			},
		},
		Status:  response.StatusCode,
		Header:  response.Header,
		Body:    io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// TestAnyRow has rows in the database that another program has written, or a newer version of this
// one: whatever is in them, the response is as the contract says, or 500.
func TestAnyRow(t *testing.T) {
	store, token := documentedStore(t)
	db, err := sql.Open("sqlite", strings.TrimPrefix(store, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // for the settings
	for _, setting := range []string{"ignore_check_constraints = ON", "synchronous = OFF", "busy_timeout = 10000"} {
		if _, err := db.Exec("PRAGMA " + setting); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, store)
	doc := contractOf(t)
	const path = "/v1/projects/{projectId}/jobs/{jobId}/runs/{runId}"
	seen := map[int]int{}

	allowed, number := rapid.Int64Range(
		0,
		1,
	).AsAny(), rapid.OneOf(
		rapid.Int64(),
		rapid.SampledFrom([]int64{-1, 2, math.MinInt64, math.MaxInt64}),
	).AsAny()
	year, second := rapid.Int64Range(-62167219200, 253402300799).AsAny(), rapid.OneOf(rapid.Int64(),
		rapid.SampledFrom([]int64{-62167219201, 253402300800})).AsAny()
	columns := map[string]struct{ allowed, anything *rapid.Generator[any] }{
		"active":        {allowed, number},
		"backoff_limit": {allowed, number},
		"completions":   {allowed, number},
		"concluded":     {allowed, number},
		"failed":        {allowed, number},
		"succeeded":     {allowed, number},
		"started_at":    {year, second},
		"concluded_at":  {rapid.OneOf(year, rapid.Just[any](nil)), second},
		"status": {
			rapid.SampledFrom([]any{"SUCCESS", "RUNNING", "FAILED"}),
			rapid.SampledFrom([]any{"CANCELLED", "", "success"}),
		},
		"run_name": {rapid.StringMatching(`[ -~]{1,20}`).AsAny(),
			rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\x00", "\xff", strings.Repeat("a", 513)})).AsAny()},
	}
	rapid.Check(t, func(rt *rapid.T) {
		row := map[string]any{}
		for _, column := range slices.Sorted(maps.Keys(columns)) {
			row[column] = columns[column].allowed.Draw(rt, column)
		}
		for range rapid.IntRange(0, 2).Draw(rt, "columns with anything in them") {
			column := rapid.SampledFrom(slices.Sorted(maps.Keys(columns))).Draw(rt, "column")
			row[column] = columns[column].anything.Draw(rt, column)
		}
		id := fmt.Sprintf("run-%d", seen[0])
		seen[0]++
		names, marks := []string{"team", "project", "job", "id"}, "?, ?, ?, ?"
		values := []any{"default", documented.Project, documented.Job, id}
		for column, value := range row {
			names, marks, values = append(names, column), marks+", ?", append(values, value)
		}
		if _, err := db.Exec(
			"INSERT INTO runs ("+strings.Join(names, ", ")+") VALUES ("+marks+")",
			values...); err != nil {
			rt.Fatal(err)
		}
		response, err := http.DefaultClient.Do(newRequest(t, s, token, strings.Replace(runPath, documented.Run, id, 1)))
		if err != nil {
			rt.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			rt.Fatal(err)
		}
		seen[response.StatusCode]++
		if err := obeys(doc, path, http.MethodGet, response, body); err != nil {
			rt.Fatalf("the contract does not allow the response: %v\n%s", err, body)
		}
		switch response.StatusCode {
		case http.StatusInternalServerError:
		case http.StatusOK:
			var answer struct {
				Data struct {
					Status  string
					RunName string
				}
			}
			if err := json.Unmarshal(
				body,
				&answer,
			); err != nil || answer.Data.Status != row["status"] ||
				answer.Data.RunName != strings.ToValidUTF8(row["run_name"].(string), "\ufffd") {
				rt.Fatalf("the response is not the row %v: %s (%v)", row, body, err)
			}
		default:
			rt.Fatalf("the status is %d, want 200 or 500: %s", response.StatusCode, body)
		}
	})
	if seen[http.StatusOK] == 0 || seen[http.StatusInternalServerError] == 0 {
		t.Errorf("seen %v: rows of one kind are missing", seen)
	}
	s.stop(t, syscall.SIGTERM)
	if n := strings.Count(s.log.String(), `"error":"the response breaks the contract: data.`); n == 0 {
		t.Errorf("the log does not say what is wrong with a row")
	}
}
