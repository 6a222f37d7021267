package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// wireRun is a run as it comes.
type wireRun struct {
	JobRun
	StartedAt   optionalTime `json:"startedAt"` // these instead of those in JobRun
	ConcludedAt optionalTime `json:"concludedAt"`
}

// run returns the run. What has no id or no status is not one: the error says so of name, which is
// the run's place in the JSON.
func (w *wireRun) run(name string) (*JobRun, error) {
	switch {
	case w == nil:
		return nil, fmt.Errorf("not a job run: there is no %s", name)
	case w.ID == "":
		return nil, fmt.Errorf("not a job run: there is no %s.id", name)
	case w.Status == "":
		return nil, fmt.Errorf("not a job run: there is no %s.status", name)
	}
	if w.StartedAt.at != nil {
		w.JobRun.StartedAt = *w.StartedAt.at
	}
	w.JobRun.ConcludedAt = w.ConcludedAt.at
	return &w.JobRun, nil
}

// decodeRun reads {"data": RUN}, ignoring fields that it does not know.
func decodeRun(body []byte) (*JobRun, error) {
	var answer struct{ Data *wireRun }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not a job run: %w", err)
	}
	return answer.Data.run("data")
}

// decodeLogin takes any JSON object: the status has said already that the token is valid.
func decodeLogin(body []byte) (*struct{}, error) {
	var answer *struct{}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not a response to a login: %w", err)
	}
	if answer == nil {
		return nil, errors.New("not a response to a login: null")
	}
	return answer, nil
}

// optionalTime is nil where JSON has null or "".
type optionalTime struct{ at *time.Time }

// UnmarshalJSON reads an RFC 3339 time, "" or null.
func (t *optionalTime) UnmarshalJSON(b []byte) error {
	if string(b) == `""` || string(b) == "null" {
		return nil
	}
	t.at = new(time.Time)
	return t.at.UnmarshalJSON(b)
}
