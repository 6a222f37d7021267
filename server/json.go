package server

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// encode returns a line of JSON in which <, > and & stay themselves: it is never part of a page.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}

// listResponse is a page of jobs or runs. The generated responses escape what HTML would need. Its
// Body is checked as that of a generated response.
type listResponse[T any] struct{ Body T }

// VisitListJobsResponse writes the response. Returns an error if the caller has left.
func (r listResponse[T]) VisitListJobsResponse(w http.ResponseWriter) error {
	body, err := encode(r.Body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}

// VisitListTeamJobsResponse writes the response. Returns an error if the caller has left.
func (r listResponse[T]) VisitListTeamJobsResponse(w http.ResponseWriter) error {
	return r.VisitListJobsResponse(w)
}

// VisitListJobRunsResponse writes the response. Returns an error if the caller has left.
func (r listResponse[T]) VisitListJobRunsResponse(w http.ResponseWriter) error {
	return r.VisitListJobsResponse(w)
}

// VisitListTeamJobRunsResponse writes the response. Returns an error if the caller has left.
func (r listResponse[T]) VisitListTeamJobRunsResponse(w http.ResponseWriter) error {
	return r.VisitListJobsResponse(w)
}
