package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// statuses is the table of errors: the status of each sentinel, alone or wrapped, and the header
// that the contract wants with that status. Any other error becomes 500, and only the log says
// which it was.
var statuses = []struct {
	err           error
	status        int
	header, value string
}{
	{err: contract.ErrInvalid, status: http.StatusBadRequest},
	{err: auth.ErrNoTeam, status: http.StatusBadRequest},
	{err: auth.ErrUnauthorized, status: http.StatusUnauthorized, header: echo.HeaderWWWAuthenticate, value: "Bearer"},
	// RFC 6750, section 3.1.
	{
		err:    auth.ErrInvalidToken,
		status: http.StatusUnauthorized,
		header: echo.HeaderWWWAuthenticate,
		value:  `Bearer error="invalid_token"`,
	},
	{err: auth.ErrForbidden, status: http.StatusForbidden},
	{err: jobrun.ErrNotFound, status: http.StatusNotFound},
	{err: jobrun.ErrInvalid, status: http.StatusBadRequest},
	{err: jobrun.ErrConflict, status: http.StatusConflict},
	{err: contract.ErrTooLarge, status: http.StatusRequestEntityTooLarge},
	{err: contract.ErrMediaType, status: http.StatusUnsupportedMediaType},
	{err: auth.ErrTooManyRequests, status: http.StatusTooManyRequests, header: echo.HeaderRetryAfter, value: "60"},
	// Both are ErrUnavailable too.
	{err: jobrun.ErrOutdated, status: http.StatusServiceUnavailable, header: echo.HeaderRetryAfter, value: "5"},
	{err: jobrun.ErrTimeout, status: http.StatusServiceUnavailable, header: echo.HeaderRetryAfter, value: "5"},
	{err: jobrun.ErrUnavailable, status: http.StatusServiceUnavailable, header: echo.HeaderRetryAfter, value: "5"},
}

// statusCallerLeft is the status, in the log, the metrics and the traces, of a request that failed
// because its caller left before the response, such as one that waits for a run: that is no fault
// of the server. nginx uses the same number.
const statusCallerLeft = 499

// errorObject returns the error object and the headers of the response to an error.
func errorObject(err error) (object model.Error, header http.Header) {
	object, header = model.Error{Status: http.StatusInternalServerError}, http.Header{}
	var known *echo.HTTPError
	if errors.As(err, &known) {
		object.Status = known.Code
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			object.Status, object.Message = s.status, s.err.Error()
			if s.header != "" {
				header.Set(s.header, s.value)
			}
			break
		}
	}
	// These errors contain more for the caller than their sentinel.
	var violation *contract.Violation
	var refused *auth.Error
	var report *jobrun.ReportError
	var mistyped *json.UnmarshalTypeError
	switch {
	case object.Status >= http.StatusInternalServerError:
	case errors.As(err, &violation):
		object.Message = violation.Error()
		object.Details = model.ErrorDetails{
			Parameter: violation.Parameter,
			Rule:      violation.Rule,
			Pointer:   violation.Pointer,
		}
	case errors.As(err, &report):
		object.Message = report.Error()
	case errors.As(err, &mistyped): // kin-openapi takes 1.0 and 1e2 for integers, generated code does not
		object.Message = fmt.Sprintf(
			`the body breaks the rule "type": %s must be an integer without a fraction or an exponent`, mistyped.Field)
		object.Details.Rule = "type"
	case errors.Is(err, contract.ErrTooLarge):
		object.Message = err.Error()
	case errors.As(err, &refused):
		object.Message, object.Details.Permission = refused.Error(), refused.Permission
		if refused.RetryAfter > 0 {
			header.Set(echo.HeaderRetryAfter, strconv.FormatInt(auth.Seconds(refused.RetryAfter), 10))
		}
		if errors.Is(err, auth.ErrNoTeam) {
			object.Details = model.ErrorDetails{Parameter: teamParameter, Rule: "required"}
		}
	}
	object.Message = cmp.Or(object.Message, strings.ToLower(http.StatusText(object.Status)))
	return object, header
}

// writeError returns the one place where an error becomes a response.
func writeError(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		response, ctx := c.Response(), c.Request().Context()
		if response.Committed {
			return
		}
		object, header := errorObject(err)
		if object.Status >= http.StatusInternalServerError && ctx.Err() != nil {
			object = model.Error{Status: statusCallerLeft, Message: "the caller has left"}
		}
		object.ID = exchangeOf(ctx).id
		for name, values := range header {
			response.Header()[name] = values
		}
		body, err := encode(model.ErrorResult{Error: object})
		if err == nil {
			err = c.JSONBlob(object.Status, body)
		}
		if err != nil {
			log.Warn("the response could not be written", "id", object.ID, "error", err)
		}
	}
}

// encode returns a line of JSON in which <, > and & stay themselves, because permissions contain
// them and the line is never part of a page.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}
