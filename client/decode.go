package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// decodeRun reads {"data": RUN}, ignoring fields that it does not know. What has no id or no status
// is not a run.
func decodeRun(body []byte) (*JobRun, error) {
	var answer struct {
		Data *struct {
			JobRun
			ConcludedAt optionalTime `json:"concludedAt"` // instead of the one in JobRun
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("not a job run: %w", err)
	}
	switch {
	case answer.Data == nil:
		return nil, errors.New("not a job run: there is no data")
	case answer.Data.ID == "":
		return nil, errors.New("not a job run: there is no data.id")
	case answer.Data.Status == "":
		return nil, errors.New("not a job run: there is no data.status")
	}
	run := &answer.Data.JobRun
	run.ConcludedAt = answer.Data.ConcludedAt.at
	return run, nil
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
