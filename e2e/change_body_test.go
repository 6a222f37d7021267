//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// writeOperations are two that take a body, of which one says how large that may be, and one that
// takes none.
const writeOperations = `  /v1/projects/{projectId}/jobs/{jobId}/start:
    post: &startJob
      operationId: startJob
      tags: [runs]
      summary: Run a job
      x-required-permission: Project > Jobs > General > Run
      parameters:
        - $ref: '#/components/parameters/projectId'
        - $ref: '#/components/parameters/jobId'
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/StartRequest'}
            example: {attempts: 2, runtimeEnvironment: {A: b}}
      responses: &startResponses
        '200': {$ref: '#/components/responses/Started'}
        '413': {$ref: '#/components/responses/TooLarge'}
        '415': {$ref: '#/components/responses/UnsupportedMediaType'}
` + sharedErrors + `  /v1/projects/{projectId}/jobs/{jobId}/start-small:
    post:
      <<: *startJob
      operationId: startSmallJob
      x-max-bytes: 100
  /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}/removal:
    delete:
      operationId: removeJobRun
      tags: [runs]
      summary: Remove a run
      x-required-permission: Project > Jobs > General > Run
      parameters:
        - $ref: '#/components/parameters/projectId'
        - $ref: '#/components/parameters/jobId'
        - $ref: '#/components/parameters/runId'
      responses:
        '204': {description: The run has been removed.}
` + sharedErrors

const writeResponses = `    Started:
      description: What was read of the body.
      headers: *rateLimit
      content:
        application/json:
          schema: {$ref: '#/components/schemas/StartResult'}
          example: {data: {attempts: 2}}
    TooLarge:
      description: The body is too large.
      headers: *rateLimit
      content:
        application/json:
          schema: {$ref: '#/components/schemas/ErrorResult'}
          example: {error: {status: 413, message: too large, id: 0f1b4d1c-8f5a-4d0e-9c41-6c2a2f7f1e55}}
    UnsupportedMediaType:
      description: The body is not JSON.
      headers: *rateLimit
      content:
        application/json:
          schema: {$ref: '#/components/schemas/ErrorResult'}
          example: {error: {status: 415, message: unsupported media type, id: 0f1b4d1c-8f5a-4d0e-9c41-6c2a2f7f1e55}}
`

const writeSchemas = `    StartRequest:
      type: object
      description: How to run a job.
      required: [attempts]
      properties:
        attempts: {type: integer, minimum: 1, maximum: 10, description: How often.}
        runtimeEnvironment:
          type: object
          description: Variables.
          additionalProperties: {type: string, maxLength: 10}
        since: {type: string, format: date-time, description: Since when.}
    StartResult:
      type: object
      description: What was read of the body.
      required: [data]
      properties:
        data: {$ref: '#/components/schemas/StartRequest'}
`

const writeMethods = `
// StartJob returns what it read of the body.
func (h *handler) StartJob(_ context.Context, r gen.StartJobRequestObject) (gen.StartJobResponseObject, error) {
	var response gen.StartJob200JSONResponse
	response.Body.Data = *r.Body
	return response, nil
}

// StartSmallJob returns what it read of the body.
func (h *handler) StartSmallJob(_ context.Context, r gen.StartSmallJobRequestObject) (gen.StartSmallJobResponseObject, error) {
	var response gen.StartSmallJob200JSONResponse
	response.Body.Data = *r.Body
	return response, nil
}

// RemoveJobRun removes nothing.
func (h *handler) RemoveJobRun(context.Context, gen.RemoveJobRunRequestObject) (gen.RemoveJobRunResponseObject, error) {
	return gen.RemoveJobRun204Response{}, nil
}
`

// startPath is where a job is run.
const startPath = "/v1/projects/default-project/jobs/example-job/start"

// posts sends a body, and returns the body of the response, or its error.
func (c checkout) posts(s *apiServer, token, path, body string, status int, headers ...string) (string, model.Error) {
	c.Helper()
	request := newRequest(c, s, token, path)
	request.Method, request.Body, request.ContentLength = http.MethodPost, io.NopCloser(
		strings.NewReader(body),
	), int64(
		len(body),
	)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	_, text := exchange(c, request, status)
	var result model.ErrorResult
	if status != http.StatusOK {
		if err := json.Unmarshal(text, &result); err != nil {
			c.Error(err)
		}
	}
	return string(text), result.Error
}

func testBodiesAndMethods(t *testing.T, c checkout, store, reader string) {
	create := func(name string, args ...string) string {
		made, err := c.program(
			"jobrund",
			append([]string{"token", "create", "--store", store, "--name", name}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(made))
	}
	token := create("runs", "--permission", "Project > Jobs > General > Run")
	s := c.serve(store)

	for _, body := range []string{`{"attempts":1}`, ` {"attempts": 10, "since": "2020-12-08T11:47:08Z"} `, `{"attempts":3,"runtimeEnvironment":{"A":"b","a":"c"}}`, `{"attempts":2,"unknown":1}`} {
		var want, got bytes.Buffer
		text, _ := c.posts(s, token, startPath, body, http.StatusOK)
		if err := json.Compact(&want, []byte(`{"data":`+strings.Replace(body, `,"unknown":1`, "", 1)+`}`)); err != nil {
			t.Fatal(err)
		}
		got.WriteString(strings.TrimSpace(text))
		if got.String() != want.String() {
			t.Errorf("%s: the handler read %s, want %s", body, got.String(), want.String())
		}
	}
	for body, want := range map[string][2]string{
		`{"attempts":11}`:  {"/attempts", "maximum"},
		`{}`:               {"/attempts", "required"},
		`{"attempts":1.0}`: {"/attempts", "type"},
		`{"attempts":1e0}`: {"/attempts", "type"},
		`{"attempts":"1"}`: {"/attempts", "type"},
		`{"attempts":1,"runtimeEnvironment":{"a/b~c":"12345678901"}}`: {"/runtimeEnvironment/a~1b~0c", "maxLength"},
		`{"attempts":1,"RuntimeEnvironment":{"A":"12345678901"}}`:     {"/RuntimeEnvironment", "properties"},
		`{"Attempts":99,"attempts":1}`:                                {"/Attempts", "properties"},
		`{"attempts":1,"since":"2020-13-08T11:47:08Z"}`:               {"/since", "format"},
		`{"attempts":1}{"attempts":99}`:                               {"", "type"},
		`{"attempts":1,"attempts":99}`:                                {"", "type"},
		`{"attempts":1,"\u0061ttempts":99}`:                           {"", "type"},
		`{"attempts":1`:                                               {"", "type"},
		"{\"attempts\":1,\"x\":\"\xff\"}":                             {"", "type"},
		`[]`:                                                          {"", "type"},
		``:                                                            {"", "required"},
		`{"attempts":1,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`: {"", "type"},
	} {
		_, problem := c.posts(s, token, startPath, body, http.StatusBadRequest)
		if got := [2]string{problem.Details.Pointer, problem.Details.Rule}; got != want {
			t.Errorf("%.60s: the response names %q, want %q: %s", body, got, want, problem.Message)
		}
	}

	large := func(n int) string { return `{"attempts":1` + strings.Repeat(" ", n-len(`{"attempts":1}`)) + `}` }
	c.posts(s, token, startPath, large(64<<10), http.StatusOK)
	c.posts(s, token, startPath, large(64<<10+1), http.StatusRequestEntityTooLarge)
	c.posts(s, token, startPath+"-small", large(100), http.StatusOK)
	c.posts(s, token, startPath+"-small", large(101), http.StatusRequestEntityTooLarge)
	for _, headers := range [][]string{
		{"Content-Type", "text/plain"}, {"Content-Type", ""}, {"Content-Type", "application/json; charset=latin1"}, {"Content-Type", ";"}, {"Content-Encoding", "gzip"},
	} {
		c.posts(s, token, startPath, `{"attempts":1}`, http.StatusUnsupportedMediaType, headers...)
	}
	c.posts(
		s,
		token,
		startPath,
		`{"attempts":1}`,
		http.StatusOK,
		"Content-Type",
		"Application/JSON; charset=UTF-8",
		"Content-Encoding",
		"identity",
	)

	// Token and permission come first, and nothing is read for them.
	all := create("all")
	c.posts(s, all, startPath, `{"attempts":1}`, http.StatusForbidden)
	for name, status := range map[string]int{"nobody": 401, reader: 403, all: 403, token: 413} {
		if got := statusWithoutBody(t, s, name); got != status {
			t.Errorf("a request whose body does not come: %d, want %d", got, status)
		}
	}
	memory := peakMemory(t, s.process.Process.Pid)
	endlessBody(t, s, token)
	if grown := peakMemory(t, s.process.Process.Pid) - memory; grown > 16<<10 {
		t.Errorf("an endless body takes %d KiB", grown)
	}

	remove := newRequest(t, s, token, runPath+"/removal")
	remove.Method = http.MethodDelete
	exchange(t, remove, http.StatusNoContent)
	if response, _ := exchange(
		t,
		newRequest(t, s, token, startPath),
		http.StatusMethodNotAllowed,
	); response.Header.Get(
		"Allow",
	) != "OPTIONS, POST" {
		t.Errorf("Allow is %q", response.Header.Get("Allow"))
	}
}

// refusesToStart takes away what keeps operations from being open or unbounded: the server names
// each of them.
func (c checkout) refusesToStart(store string) {
	c.Helper()
	const large = "        '413': {$ref: '#/components/responses/TooLarge'}\n"
	const media = "        '415': {$ref: '#/components/responses/UnsupportedMediaType'}\n"
	const remove, run = "      summary: Remove a run\n", "      summary: Get run details\n"
	c.edit("openapi.yaml", large+media, media)
	c.edit("openapi.yaml", remove+"      x-required-permission: Project > Jobs > General > Run\n", remove)
	c.edit("openapi.yaml", run, run+"      security: []\n")
	c.run("go", "generate", ".")
	c.build("jobrund")
	out, err := c.program("jobrund", "serve", "--addr", "127.0.0.1:0", "--store", store).CombinedOutput()
	for _, operation := range []string{"startJob", "413", "removeJobRun", "getJobRun"} {
		if err == nil || !strings.Contains(string(out), operation) {
			c.Errorf("serve: %v, and no word of %s: %s", err, operation, out)
		}
	}
}

// announceBody sends the headers of a request, of which one says how its body will come, but
// nothing of the body.
func announceBody(t *testing.T, s *apiServer, token, header string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(
		conn,
		"POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n\r\n",
		startPath,
		token,
		header,
	); err != nil {
		t.Fatal(err)
	}
	return conn
}

// statusWithoutBody returns the status of the response to a request whose body does not come.
func statusWithoutBody(t *testing.T, s *apiServer, token string) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(announceBody(t, s, token, "Content-Length: 300000000")), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// endlessBody sends a body of 300 MB in chunks, until the server has had enough.
func endlessBody(t *testing.T, s *apiServer, token string) {
	t.Helper()
	conn := announceBody(t, s, token, "Transfer-Encoding: chunked")
	chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
	for range 300_000_000 / (1 << 16) {
		_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, chunk); err != nil {
			return
		}
	}
	t.Error("the server has read all of the body")
}

// peakMemory returns the most memory that the process has had, in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return peakOf(t, text)
}
