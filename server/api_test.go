package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/e2e/contracttest"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// api is a handler over a fake store. It validates every response against the document and searches
// the log for secrets after every request.
type api struct {
	testing.TB
	handler http.Handler
	store   *fakeStore
	log     *logBuffer
	logger  *slog.Logger
	secrets []string
}

// newAPI returns an api whose store is empty.
func newAPI(t testing.TB) *api {
	t.Helper()
	log := &logBuffer{}
	a := &api{
		TB:     t,
		log:    log,
		logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		store:  &fakeStore{runs: map[jobrun.Key]model.JobRun{}, tokens: map[jobrun.TokenHash]jobrun.Token{}},
	}
	handler, err := server.New(a.store, a.logger, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.handler = handler
	return a
}

// newFilledAPI returns an api that has the example run, and the secret of a token that may see it.
func newFilledAPI(t testing.TB) (*api, string) {
	t.Helper()
	a := newAPI(t)
	a.store.runs[exampleKey] = exampleRun(t)
	return a, a.token(allowed())
}

// token stores a token, and returns its secret.
func (a *api) token(token jobrun.Token) string {
	secret, hash := jobrun.NewSecret()
	a.store.tokens[hash] = token
	a.secrets = append(a.secrets, secret)
	return secret
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    model.Error // the zero value for a 2xx
	log    []logLine   // what the log said meanwhile
}

// get sends a GET for the path, which is written as it goes over the wire, with the secret of a
// token, or with none.
func (a *api) get(path, secret string) answer {
	a.Helper()
	return a.do(http.MethodGet, path, secret)
}

// ask sends a request for the operation, with other values in its path, and with the secret of a
// token, or with none.
func (a *api) ask(o operation, values map[string]string, secret string) answer {
	a.Helper()
	r := o.request(values)
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return a.send(r)
}

func (a *api) do(method, path, secret string) answer {
	a.Helper()
	r := httptest.NewRequest(method, path, nil)
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return a.send(r)
}

// send sends the request, and checks all that every response has in common.
func (a *api) send(r *http.Request) answer {
	a.Helper()
	recorder := httptest.NewRecorder()
	a.store.takeLookups()
	a.handler.ServeHTTP(recorder, r)
	text := a.log.take()
	got := answer{
		status: recorder.Code,
		header: recorder.Result().Header,
		body:   recorder.Body.Bytes(),
		log:    logLines(a, text),
	}
	a.checkLog(text, got)
	wantHeaders(a, got.header, map[string]string{"X-Content-Type-Options": "nosniff"})
	a.checkBody(r, &got)
	if got.status == 400 || got.status == 401 || got.status == 403 || got.status == 429 {
		a.noLookup()
	}
	return got
}

// checkLog checks that the request has a line of its own in the log, with its id, and that nothing
// there gives a secret away.
func (a *api) checkLog(text string, got answer) {
	a.Helper()
	id := got.header.Get("X-Request-Id")
	if len(id) < 32 {
		a.Errorf("X-Request-Id is %q, want a random id", id)
	}
	var requests int
	for _, line := range got.log {
		if line.ID != id {
			a.Errorf("a log line has the id %q, want %q: %+v", line.ID, id, line)
		}
		if line.Msg == "request" {
			requests++
			if line.Status != got.status {
				a.Errorf("the log has the status %d, want %d", line.Status, got.status)
			}
		}
	}
	if requests != 1 {
		a.Errorf("the log has %d lines for the request, want 1:\n%s", requests, text)
	}
	for _, secret := range a.secrets {
		if strings.Contains(text, secret) {
			a.Errorf("the log has the secret of a token:\n%s", text)
		}
	}
}

// checkBody checks the response against what the document says of the request's operation, or else
// that it is an error as the document describes them all.
func (a *api) checkBody(r *http.Request, got *answer) {
	a.Helper()
	if got.status == http.StatusNoContent {
		if len(got.body) != 0 {
			a.Errorf("204 has a body: %s", got.body)
		}
		return
	}
	contentType := "application/json"
	if got.status == http.StatusOK && r.URL.Path == "/v1/swagger-html" {
		contentType = "text/html; charset=utf-8"
	}
	if diff := cmp.Diff([]string{contentType}, got.header.Values("Content-Type")); diff != "" {
		a.Errorf("Content-Type (-want +got):\n%s", diff)
	}
	if got.status >= 400 {
		var result model.ErrorResult
		decodeStrictly(a, got.body, &result)
		got.err = result.Error
		if got.err.Status != got.status {
			a.Errorf("the body has the status %d, want %d: %s", got.err.Status, got.status, got.body)
		}
		if id := got.header.Get("X-Request-Id"); got.err.ID != id {
			a.Errorf("the body has the id %q, want %q, that of the header: %s", got.err.ID, id, got.body)
		}
	}
	if err := contracttest.Check(r, got.status, got.header, got.body); err != nil {
		a.Error(err)
	}
}

// decodeStrictly fails the test where the JSON has a field that the model does not know, or
// something follows it.
func decodeStrictly(t testing.TB, body []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("something follows the JSON: %s", body)
	}
}

// noLookup checks that no run was looked up for the last request.
func (a *api) noLookup() {
	a.Helper()
	if looked := a.store.takeLookups(); len(looked) != 0 {
		a.Errorf("runs were looked up: %v", looked)
	}
}

// want checks the status of a response.
func (a *api) want(got answer, status int) {
	a.Helper()
	if got.status != status {
		a.Errorf("the status is %d, want %d: %s", got.status, status, got.body)
	}
}

// countedErrors is a test that counts its errors and passes.
type countedErrors struct {
	testing.TB
	errors []string
}

func (f *countedErrors) Error(args ...any) { f.errors = append(f.errors, fmt.Sprint(args...)) }

func TestEveryResponseIsValidated(t *testing.T) {
	for name, breakHandler := range map[string]func(*api){
		"a run with another status": func(a *api) {
			run := exampleRun(a)
			run.Status = "CANCELLED"
			a.store.runs[exampleKey] = run
		},
		"a response without a body": func(a *api) {
			handler := a.handler
			a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				whole := httptest.NewRecorder()
				handler.ServeHTTP(whole, r)
				maps.Copy(w.Header(), whole.Header())
			})
		},
	} {
		a, secret := newFilledAPI(t)
		breakHandler(a)
		f := &countedErrors{TB: t}
		a.TB = f
		a.get(runPath(t, exampleKey), secret)
		if len(f.errors) == 0 {
			t.Errorf("%s passes", name)
		}
	}
}
