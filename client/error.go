package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// The kinds of an [*Error], by its status: compare with [errors.Is].
var (
	// ErrBadRequest is a 400: a parameter breaks a rule. Details names both.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is a 401: there is no token, or the server does not accept it.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is a 403: the token lacks the permission.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is a 404: there is no such run, job, project or team, or the token may not see
	// it.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited is a 429: the token has used up its requests. The response's RateLimit has the
	// numbers.
	ErrRateLimited = errors.New("rate limited")
)

// ErrProxyPassword is the error of a request if a proxy requires a user and a password before it
// connects to the server (407, RFC 9110, section 15.5.8). The client does not retry it.
var ErrProxyPassword = errors.New("the proxy wants a user and a password")

// checkProxy handles a proxy's response to CONNECT. net/http makes any other error itself.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusProxyAuthRequired {
		return fmt.Errorf("%w: %s", ErrProxyPassword, proxy.Host)
	}
	return nil
}

var sentinels = map[int]error{
	http.StatusBadRequest:      ErrBadRequest,
	http.StatusUnauthorized:    ErrUnauthorized,
	http.StatusForbidden:       ErrForbidden,
	http.StatusNotFound:        ErrNotFound,
	http.StatusTooManyRequests: ErrRateLimited,

	http.StatusProxyAuthRequired: ErrProxyPassword,
}

// Error is a response without the wanted data: an error of the server or of a proxy, a redirect to
// another server (which the client does not follow), or a 200 that breaks the contract.
type Error struct {
	Status  int            // HTTP status of the response
	Message string         // the server's if it sends one, else the start of the response; never empty
	ID      string         // the server's name for the request; empty if it sends none
	Details map[string]any // the subject of the error, as the server sent it; nil if it sends none

	request string // the method and the URL
}

// Error returns the request, the status, the message and, where known, the request ID.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %d %s: %s", e.request, e.Status, http.StatusText(e.Status), e.Message)
	if e.ID != "" {
		s += fmt.Sprintf(" (request %s)", e.ID)
	}
	return s
}

// Is reports whether target is the sentinel for the status, such as [ErrNotFound].
func (e *Error) Is(target error) bool {
	sentinel, ok := sentinels[e.Status]
	return ok && sentinel == target
}

// newError makes the error for a response. The problem is the defect of a 200. The body of any
// other response explains itself: {"error": {"status", "message", "id", "details"}} from the API,
// anything else from a proxy.
func (c *Client) newError(resp *Response, problem string) *Error {
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body) // it is in memory
	e := &Error{
		Status:  resp.StatusCode,
		Message: problem,
		ID:      resp.RequestID,
		request: resp.Request.Method + " " + resp.Request.URL.String(),
	}
	if problem == "" {
		var sent struct {
			Error struct {
				Message, ID string
				Details     map[string]any
			}
		}
		_ = json.Unmarshal(body, &sent) // it leaves out what has another type
		e.Message, e.Details, e.ID = sent.Error.Message, sent.Error.Details, cmp.Or(c.redact(sent.Error.ID), e.ID)
	}
	if location := resp.Header.Get("Location"); e.Message == "" && location != "" {
		e.Message = fmt.Sprintf("redirected to %q, which is not followed to another server", location)
	}
	if problem != "" || e.Message == "" {
		start := summary(c.redact(resp.Header.Get("Content-Type")), c.redact(string(body)))
		e.Message = strings.TrimPrefix(e.Message+"; "+start, "; ")
	}
	e.Message = c.redact(e.Message)
	return e
}

// redact removes the token from a text.
func (c *Client) redact(s string) string {
	if c.token == "" {
		return s
	}
	return strings.ReplaceAll(s, c.token, "[token]")
}

var htmlTag = regexp.MustCompile(`<[^>]*>`)

// summary returns the type and the first words of a response that is not the API's, by which the
// user recognizes its sender.
func summary(contentType, body string) string {
	if len(body) == 0 {
		return "the response is empty"
	}
	return fmt.Sprintf(
		"the response is %s: %q",
		excerpt(cmp.Or(contentType, "of no declared type")),
		excerpt(htmlTag.ReplaceAllString(body, " ")),
	)
}

// excerpt returns the first 80 characters of a text, on one line and printable.
func excerpt(s string) string {
	const most = 80
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
	runes := []rune(strings.Join(words, " "))
	if len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return string(runes)
}
