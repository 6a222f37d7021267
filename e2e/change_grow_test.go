//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jobruns/jobruns/gen/model"
)

// sharedErrors are the error responses of every operation with a token.
const sharedErrors = `        '400': {$ref: '#/components/responses/BadRequest'}
        '401': {$ref: '#/components/responses/Unauthorized'}
        '403': {$ref: '#/components/responses/Forbidden'}
        '404': {$ref: '#/components/responses/NotFound'}
        '405': {$ref: '#/components/responses/MethodNotAllowed'}
        '429': {$ref: '#/components/responses/TooManyRequests'}
        '500': {$ref: '#/components/responses/InternalServerError'}
        '503': {$ref: '#/components/responses/ServiceUnavailable'}
        default: {$ref: '#/components/responses/Default'}
`

// listOperation is an operation with query parameters of every kind, and with a list as its
// response.
const listOperation = `  /v1/projects/{projectId}/jobs/{jobId}/history:
    get:
      operationId: getJobRunHistory
      tags: [runs]
      summary: List the runs of a job
      x-required-permission: Project > Jobs > General > Read
      parameters:
        - $ref: '#/components/parameters/projectId'
        - $ref: '#/components/parameters/jobId'
        - {name: per_page, in: query, description: How many, example: 2, schema: {type: integer, minimum: 1, maximum: 100, default: 50}}
        - {name: order, in: query, description: In which order, example: newest, schema: {type: string, enum: [newest, oldest], default: newest}}
        - {name: tag, in: query, description: With which tags, example: [a], schema: {type: array, maxItems: 2, items: {type: string, pattern: '^[a-z]+$'}}}
        - {name: broken, in: query, description: Whether all are broken, example: false, schema: {type: boolean}}
        - {name: since, in: query, description: Since when, example: '2020-12-08T11:47:08Z', schema: {type: string, format: date-time}}
      responses:
        '200': {$ref: '#/components/responses/JobRunHistory'}
` + sharedErrors

const listResponse = `    JobRunHistory:
      description: Runs.
      headers: *rateLimit
      content:
        application/json:
          schema: {$ref: '#/components/schemas/JobRunHistoryResult'}
          example: {data: {runs: []}}
`

const listSchema = `    JobRunHistoryResult:
      type: object
      description: What a request for runs is answered with.
      required: [data]
      properties:
        data:
          type: object
          description: The runs.
          required: [runs]
          properties:
            runs:
              type: array
              description: In the order that was asked for.
              maxItems: 100
              items: {$ref: '#/components/schemas/JobRun'}
`

// listMethod lists the same run again and again. In the order "oldest", the third has no name.
const listMethod = `
// GetJobRunHistory returns runs of a job.
func (h *handler) GetJobRunHistory(ctx context.Context, r gen.GetJobRunHistoryRequestObject) (gen.GetJobRunHistoryResponseObject, error) {
	key := jobrun.Key{Team: exchangeOf(ctx).team, Project: r.ProjectID, Job: r.JobID, Run: "d34582a4-35bd-4c71-8e7c-e36999b88723"}
	run, _, err := h.runs.store.Run(ctx, key)
	if err != nil {
		return nil, err
	}
	var response gen.GetJobRunHistory200JSONResponse
	for range *r.Params.PerPage {
		response.Body.Data.Runs = append(response.Body.Data.Runs, *run)
	}
	if *r.Params.Order == "oldest" {
		response.Body.Data.Runs[2].RunName = ""
	}
	if r.Params.Broken != nil && *r.Params.Broken {
		response.Body.Data.Runs = nil
	}
	return response, nil
}
`

// grow adds operations to the document, with what else they need.
func (c checkout) grow(operations, responses, schemas string) {
	c.Helper()
	c.edit("openapi.yaml", "  /v1/login:\n", operations+"  /v1/login:\n")
	c.edit("openapi.yaml", "    Document:\n", responses+"    Document:\n")
	c.edit("openapi.yaml", "    LoginResult:\n", schemas+"    LoginResult:\n")
}

// implement adds methods to the handler.
func (c checkout) implement(methods string) {
	c.Helper()
	handler := filepath.Join(c.folder, "server", "handler.go")
	text, err := os.ReadFile(handler)
	if err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(handler, append(text, methods...), 0o600); err != nil {
		c.Fatal(err)
	}
}

// checksItself runs the tests of the server and of conformance, which follow the document that has
// grown.
func (c checkout) checksItself() {
	c.Helper()
	c.run(".ci/check-generated")
	c.run("go", "test", "./server", "./server/contract")
	c.run("go", "test", "./e2e", "-run", "TestConformance")
}

// TestContractChangeByNewOperations adds operations of other kinds than the contract has.
func TestContractChangeByNewOperations(t *testing.T) {
	store, token := documentedStore(t)
	c := newCheckout(t)
	c.edit("openapi.yaml", `        - $ref: '#/components/parameters/Prefer'
      responses: &getRunResponses
`, `        - $ref: '#/components/parameters/Prefer'
        - {name: verbose, in: query, description: Whether, example: true, schema: {type: boolean}}
      responses: &getRunResponses
`)
	c.grow(listOperation, listResponse, listSchema)
	c.generate()
	c.implement(listMethod)
	c.build("jobrund")
	t.Run("queries and lists", func(t *testing.T) { testQueriesAndLists(t, c.in(t), store, token) })
	t.Run("the tests follow", func(t *testing.T) { c.in(t).checksItself() })
}

func testQueriesAndLists(t *testing.T, c checkout, store, token string) {
	admin := freeAddress(t)
	s := c.serve(store, "--admin-addr", admin)
	const list = "/v1/projects/default-project/jobs/example-job/history"
	rows := func(query string) int {
		t.Helper()
		var result struct{ Data struct{ Runs []model.JobRun } }
		if err := json.Unmarshal([]byte(c.asks(s, token, list+query, http.StatusOK)), &result); err != nil {
			t.Fatal(err)
		}
		return len(result.Data.Runs)
	}

	for query, want := range map[string]int{
		"": 50, "?per_page=1": 1, "?per_page=100": 100, "?order=newest&per_page=3": 3, "?tag=a&tag=b": 50, "?broken=false": 50,
		"?since=2020-12-08T11:47:08Z": 50, "?since=2020-12-08T11:47:08%2B01:00": 50, "?unknown=%zz": 50, "?per%5Fpage=7": 7,
	} {
		if got := rows(query); got != want {
			t.Errorf("%q: %d rows, want %d", query, got, want)
		}
	}
	for _, broken := range []struct{ query, parameter, rule string }{
		{"per_page=0", "per_page", "minimum"}, {"per_page=101", "per_page", "maximum"}, {"per_page=-1", "per_page", "minimum"},
		{"per_page=99999999999999999999", "per_page", "maximum"}, {"per_page=1e1", "per_page", "type"}, {"per_page=%2B5", "per_page", "type"},
		{"per_page=05", "per_page", "type"}, {"per_page=0x10", "per_page", "type"}, {"per_page=1.0", "per_page", "type"}, {"per_page=%205", "per_page", "type"},
		{"per_page=", "per_page", "allowEmptyValue"}, {"per_page=1&per_page=2", "per_page", "type"}, {"per_page=%zz", "per_page", "style"},
		{"per_page=1;order=newest", "per_page", "style"}, {"order=NEWEST", "order", "enum"}, {"order=", "order", "allowEmptyValue"},
		{"tag=A", "tag", "pattern"}, {"tag=a&tag=b&tag=c", "tag", "maxItems"}, {"tag=a&tag=", "tag", "allowEmptyValue"},
		{"broken=1", "broken", "type"}, {"broken=TRUE", "broken", "type"}, {"since=yesterday", "since", "format"}, {"since=2020-12-08", "since", "format"},
	} {
		c.breaks(s, token, list+"?"+broken.query, broken.parameter, broken.rule)
	}
	c.breaks(s, token, runPath+"?verbose=x", "verbose", "type")

	if got := rows("?order=oldest&per_page=100"); got != 99 {
		t.Errorf("%d rows, want all but the broken one", got)
	}
	c.asks(s, token, list+"?broken=true", http.StatusInternalServerError)

	for range 20 { // long enough for the revision of the store to be known
		c.asks(s, token, runPath+"?verbose=true", http.StatusOK)
	}
	read := func() string {
		_, body := exchange(t, must(http.NewRequest(http.MethodGet, "http://"+admin+"/metrics", nil)), http.StatusOK)
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, `jobruns_store_query_duration_seconds_count{query="run"}`) {
				return line
			}
		}
		t.Fatalf("the metrics do not count reads of runs: %s", body)
		return ""
	}
	before := read()
	for range 20 {
		c.asks(s, token, runPath+"?verbose=true", http.StatusOK)
	}
	if after := read(); after != before {
		t.Errorf("a query parameter switches the cache off: %s after %s", after, before)
	}
	s.stop(t, syscall.SIGTERM)
	if !strings.Contains(s.log.String(), `data.runs.2.runName`) {
		t.Errorf("the log does not name the broken row:\n%s", s.log)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
