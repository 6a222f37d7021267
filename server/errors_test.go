package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"
)

// recording returns a server with what is common to all requests, and its log. A route that is added to it can do what
// no operation of the contract does.
func recording(t *testing.T) (*echo.Echo, *bytes.Buffer) {
	t.Helper()
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e, err := newEcho(doc, nil, slog.New(slog.NewJSONHandler(&log, nil)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e, &log
}

// Once an answer has begun, its status is sent and nothing can be taken back.
func TestErrorAfterAnswerHasBegun(t *testing.T) {
	tests := map[string]func() error{
		"an error": func() error { return errors.New("late") },
		"a panic":  func() error { panic("late") },
		"a known error": func() error {
			return &problem{error: ErrUnauthorized, message: "late"}
		},
	}
	for name, late := range tests {
		t.Run(name, func(t *testing.T) {
			e, log := recording(t)
			e.GET("/begun", func(c echo.Context) error {
				if err := c.String(http.StatusOK, "begun"); err != nil {
					return err
				}
				return late()
			})
			recorder := httptest.NewRecorder()
			e.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/begun", nil))
			if recorder.Code != http.StatusOK || recorder.Body.String() != "begun" {
				t.Errorf("the answer is %d %q, want 200 and only what was begun", recorder.Code, recorder.Body)
			}
			if header := recorder.Header().Get(echo.HeaderWWWAuthenticate); header != "" {
				t.Errorf("WWW-Authenticate is %q, want none", header)
			}
			if !strings.Contains(log.String(), "late") {
				t.Errorf("the log does not tell of the error: %s", log)
			}
		})
	}
}

// brokenWriter is a connection that is gone.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestAnswerThatCannotBeWritten(t *testing.T) {
	e, log := recording(t)
	recorder := httptest.NewRecorder()
	e.ServeHTTP(brokenWriter{recorder}, httptest.NewRequest(http.MethodGet, "/unknown", nil))
	id := recorder.Header().Get(echo.HeaderXRequestID)
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, id) {
			t.Errorf("a log line does not have the id %s: %s", id, line)
		}
	}
	if want := `"error":"gone"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not have %s: %s", want, log)
	}
}

// The contract has no body yet; when one comes, what is wrong with it is a 400 all the same.
func TestBrokenBody(t *testing.T) {
	if err := broken(&openapi3filter.RequestError{}); !errors.Is(err, ErrBadRequest) {
		t.Errorf("the error is %v, want %v", err, ErrBadRequest)
	}
}

func TestBrokenType(t *testing.T) {
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	err = broken(&openapi3filter.RequestError{
		Parameter: doc.Components.Parameters["runId"].Value,
		Err:       &openapi3filter.ParseError{Kind: openapi3filter.KindInvalidFormat, Reason: "an invalid integer"},
	})
	var told *problem
	if !errors.As(err, &told) || told.details.Parameter != "runId" || told.details.Rule != "type" {
		t.Errorf("the error is %#v, want one that names runId and the rule type", err)
	}
}
