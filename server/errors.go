package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// The errors that a handler, a store or a check may return, alone or wrapped. Each becomes the status beside it in the
// table below; any other error becomes 500, and only the log tells which it was.
var (
	// ErrBadRequest means that the request breaks a rule of the contract.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized means that the request carries no valid token.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden means that the token may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrTooManyRequests means that the token has used up its requests for now, or that too many tokens that are not
	// valid came from the caller's address.
	ErrTooManyRequests = errors.New("too many requests")
)

// statuses maps errors to statuses, and to the header that the contract wants with that status, whose value a problem
// may know better.
var statuses = []struct {
	err           error
	status        int
	header, value string
}{
	{err: ErrBadRequest, status: http.StatusBadRequest},
	{err: ErrUnauthorized, status: http.StatusUnauthorized, header: echo.HeaderWWWAuthenticate, value: "Bearer"},
	{err: ErrForbidden, status: http.StatusForbidden},
	{err: jobrun.ErrNotFound, status: http.StatusNotFound},
	{err: ErrTooManyRequests, status: http.StatusTooManyRequests, header: echo.HeaderRetryAfter, value: "60"},
	{err: jobrun.ErrUnavailable, status: http.StatusServiceUnavailable, header: echo.HeaderRetryAfter, value: "5"},
}

// statusCallerLeft is the status, in the log, the metrics and the traces, of a request that failed because its caller left
// before the answer, such as one who waits for a run: that is no fault of ours. Nobody receives it; nginx uses the same.
const statusCallerLeft = 499

// problem is an error that says more to the caller than its sentinel does.
type problem struct {
	error   // one of the sentinels
	message string
	details model.ErrorDetails
	header  string // the value of the header that the table above has for the sentinel; "" for the value there
}

func (p *problem) Error() string { return p.message }
func (p *problem) Unwrap() error { return p.error }

// broken turns what the document's validator found into what the caller is told: the parameter, and the rule by its
// keyword in the document.
func broken(err *openapi3filter.RequestError) error {
	if err.Parameter == nil {
		return &problem{error: ErrBadRequest, message: "the request body breaks the contract"}
	}
	rule, reason := "required", openapi3filter.ErrInvalidRequired.Error()
	var schema *openapi3.SchemaError
	var parse *openapi3filter.ParseError
	switch {
	case errors.As(err, &schema):
		rule, reason = schema.SchemaField, schema.Reason
	case errors.As(err, &parse):
		rule, reason = "type", parse.Reason
	}
	return &problem{
		error:   ErrBadRequest,
		message: fmt.Sprintf("%s parameter %q breaks the rule %q: %s", err.Parameter.In, err.Parameter.Name, rule, reason),
		details: model.ErrorDetails{Parameter: err.Parameter.Name, Rule: rule},
	}
}

// writeError is the one place where an error becomes an answer. What is not in the table above stays in the log.
func (r *requests) writeError(c *call, err error) {
	if c.Response().Committed {
		return
	}
	answer := model.Error{Status: http.StatusInternalServerError, ID: c.id}
	var known *echo.HTTPError
	if errors.As(err, &known) {
		answer.Status = known.Code
	}
	told := &problem{}
	errors.As(err, &told)
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			answer.Status, answer.Message = s.status, s.err.Error()
			if s.header != "" {
				c.Response().Header().Set(s.header, cmp.Or(told.header, s.value))
			}
			break
		}
	}
	if answer.Status >= http.StatusInternalServerError && c.Request().Context().Err() != nil {
		answer.Status, answer.Message = statusCallerLeft, "the caller has left"
	}
	answer.Details = told.details
	answer.Message = cmp.Or(told.message, answer.Message, strings.ToLower(http.StatusText(answer.Status)))
	if err := c.JSON(answer.Status, model.ErrorResult{Error: answer}); err != nil {
		r.log.Warn("the answer could not be written", "id", answer.ID, "error", err)
	}
}
