package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestErrors(t *testing.T) {
	html := []string{"Content-Type", "text/html; charset=utf-8"}
	for name, tt := range map[string]struct {
		status  int
		body    string
		headers []string
		want    Error
		is      error
	}{
		"400": {
			400, `{"error": {"status": 400, "message": "bad \"runId\"", "id": "r1", "details": {"parameter": "runId", "n": [1]}}}`, nil,
			Error{Message: `bad "runId"`, ID: "r1", Details: map[string]any{"parameter": "runId", "n": []any{1.0}}}, ErrBadRequest,
		},
		"401":             {401, `{"error": {"status": 401, "message": "no token", "id": "r1"}}`, nil, Error{Message: "no token", ID: "r1"}, ErrUnauthorized},
		"403":             {403, `{"error": {"status": 403, "message": "no"}}`, []string{"X-Request-Id", "r2"}, Error{Message: "no", ID: "r2"}, ErrForbidden},
		"404":             {404, `{"error": {"message": "gone", "id": ""}}`, []string{"X-Request-Id", "r2"}, Error{Message: "gone", ID: "r2"}, ErrNotFound},
		"both ids":        {404, `{"error": {"message": "gone", "id": "r1"}}`, []string{"X-Request-Id", "r2"}, Error{Message: "gone", ID: "r1"}, ErrNotFound},
		"429":             {429, `{"error": {"message": "slow"}}`, nil, Error{Message: "slow"}, ErrRateLimited},
		"500":             {500, `{"error": {"message": "broken"}}`, nil, Error{Message: "broken"}, nil},
		"another status":  {409, `{"error": {"status": 404, "message": "no"}}`, nil, Error{Message: "no"}, nil},
		"odd types":       {400, `{"error": {"status": "x", "message": "no", "id": 7, "details": "x"}}`, nil, Error{Message: "no"}, ErrBadRequest},
		"details a list":  {400, `{"error": {"message": "no", "details": [1]}}`, nil, Error{Message: "no"}, ErrBadRequest},
		"the token":       {401, `{"error": {"message": "what is ` + token + `?"}}`, nil, Error{Message: "what is [token]?"}, ErrUnauthorized},
		"the id a token":  {403, `{"error": {"message": "no", "id": "` + token + `"}}`, nil, Error{Message: "no", ID: "[token]"}, ErrForbidden},
		"error a string":  {404, `{"error": "Not Found"}`, nil, Error{Message: `the response is application/json: "{\"error\": \"Not Found\"}"`}, ErrNotFound},
		"no message":      {500, `{"error": {"id": "r1"}}`, nil, Error{ID: "r1", Message: `the response is application/json: "{\"error\": {\"id\": \"r1\"}}"`}, nil},
		"html":            {502, "<html>\n<h1>502 <b class='x'>Bad</b>\x1b[31m Gateway</h1>", html, Error{Message: `the response is text/html; charset=utf-8: "502 Bad [31m Gateway"`}, nil},
		"long":            {500, strings.Repeat("äb ", 1000), html, Error{Message: `the response is text/html; charset=utf-8: "` + strings.Repeat("äb ", 26) + `äb..."`}, nil},
		"too long":        {404, strings.Repeat(" ", maxBody+1), html, Error{Message: `the response is text/html; charset=utf-8: ""`}, ErrNotFound},
		"the token in it": {403, token, html, Error{Message: `the response is text/html; charset=utf-8: "[token]"`}, ErrForbidden},
		"empty":           {503, "", nil, Error{Message: "the response is empty"}, nil},
		"204":             {204, "", nil, Error{Message: "the response is empty"}, nil},
		"200 html":        {200, "<html>Log in</html>", html, Error{Message: `not a response of this operation; the response is text/html; charset=utf-8: "Log in"`}, nil},
		"200 not JSON":    {200, "<p>", []string{"X-Request-Id", "r2"}, Error{ID: "r2", Message: `not a response of this operation: invalid character '<' looking for beginning of value; the response is application/json: ""`}, nil},
		"200 no status":   {200, `{"data": {"id": "p"}}`, []string{"Content-Type", "a\tb json"}, Error{Message: `not a response of this operation; the response is a b json: "{\"data\": {\"id\": \"p\"}}"`}, nil},
		"200 other type":  {200, `{"data": {"id": "r", "status": "FAILED"}}`, []string{"Content-Type", "text/plain"}, Error{Message: `not a response of this operation; the response is text/plain: "{\"data\": {\"id\": \"r\", \"status\": \"FAILED\"}}"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, answers(tt.status, tt.body, tt.headers...))
			run, resp, err := newClient(t, server, WithMaxRetries(0)).GetJobRun(t.Context(), documentedRef)
			var got *Error
			if run != nil || resp == nil || !errors.As(err, &got) {
				t.Fatalf("%v, %v, %v; want an *Error", run, resp, err)
			}
			tt.want.Status = tt.status
			if diff := cmp.Diff(tt.want, *got, cmpopts.IgnoreUnexported(Error{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, sentinel := range []error{ErrBadRequest, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrRateLimited} {
				if errors.Is(err, sentinel) != errors.Is(sentinel, tt.is) {
					t.Errorf("errors.Is(%v, %v) = %v", err, sentinel, !errors.Is(sentinel, tt.is))
				}
			}
			if got.Message == "" || strings.Contains(err.Error(), token) {
				t.Errorf("%q", err)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	server := serve(t, answers(404, `{"error": {"message": "not here", "id": "r1"}}`))
	_, err := newClient(t, server).Login(t.Context())
	if want := "GET " + server + "/v1/login: 404 Not Found: not here (request r1)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
