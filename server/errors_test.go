package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
)

// recording returns a server with what is common to all requests, and its log. A route that is
// added to it can do what no operation of the contract does.
func recording(t *testing.T) (*echo.Echo, *bytes.Buffer) {
	t.Helper()
	doc, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e, err := newEcho(doc, nil, slog.New(slog.NewJSONHandler(&log, nil)), Options{}, newMetrics(nil))
	if err != nil {
		t.Fatal(err)
	}
	return e, &log
}

// Once a response has begun, its status is sent and nothing can be taken back.
func TestErrorAfterAnswerHasBegun(t *testing.T) {
	tests := map[string]func() error{
		"an error":      func() error { return errors.New("late") },
		"a panic":       func() error { panic("late") },
		"a known error": func() error { return fmt.Errorf("late: %w", auth.ErrUnauthorized) },
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
				t.Errorf("the response is %d %q, want 200 and only what was begun", recorder.Code, recorder.Body)
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
