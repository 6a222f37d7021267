package client

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

func TestRecordJobRunSendsReport(t *testing.T) {
	asked := 0
	c, err := New("https://api.example.com", script(&asked,
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPut || r.URL.Path != "/v1/projects/p/jobs/j/runs/r" ||
				string(body) != `{"completions":1}` {
				t.Errorf("%s %s %s", r.Method, r.URL, body)
			}
			w.WriteHeader(http.StatusServiceUnavailable) // it may be sent again
		},
		answers(200, documented),
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/teams/t/projects/p/jobs/j/runs/r" {
				t.Error(r.URL)
			}
			answers(409, `{"error": {"message": "another"}}`)(w, r)
		}))
	if err != nil {
		t.Fatal(err)
	}
	completions := 1
	report := JobRunReport{Completions: &completions}
	run, _, err := c.RecordJobRun(t.Context(), RunRef{Project: "p", Job: "j", Run: "r"}, report)
	if err != nil || run.ID == "" || asked != 2 {
		t.Errorf("%v, %v, %d requests", run, err, asked)
	}
	var conflict *Error
	_, _, err = c.RecordJobRun(t.Context(), RunRef{Team: "t", Project: "p", Job: "j", Run: "r"}, report)
	if !errors.As(err, &conflict) || conflict.Status != 409 || conflict.Message != "another" {
		t.Error(err)
	}
	if _, _, err := c.RecordJobRun(t.Context(), RunRef{Project: "p", Job: "j"}, report); err == nil {
		t.Error("no error for a run without an ID")
	}
}
