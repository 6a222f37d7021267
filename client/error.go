package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// What an [*Error] is, by its status: compare with [errors.Is].
var (
	// ErrBadRequest is a 400: a parameter breaks a rule, which Details names.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is a 401: there is no token, or not one that the server accepts.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is a 403: the token may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is a 404: there is no such run, job, project or team, or none that the token may
	// see.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited is a 429: the token has used up its requests, as the response's RateLimit
	// says.
	ErrRateLimited = errors.New("rate limited")
)

// ErrProxyPassword is the error of a request, which is then not tried again, if a proxy wants a user
// and a password before it connects to the server (407, RFC 9110, section 15.5.8).
var ErrProxyPassword = errors.New("the proxy wants a user and a password")

// checkProxy is called with a proxy's response to CONNECT. Any other error net/http makes itself.
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

// Error is a response that is not what was asked for: one that the server calls an error, a
// redirect to another server (which is not followed), or a 200 that is not the contract's.
type Error struct {
	Status  int            // HTTP status of the response
	Message string         // why, in the server's words where the response has some; never empty
	ID      string         // what the server calls the request; empty if it did not say
	Details map[string]any // what the error is about, as the server sent it; nil if it sent none

	request string // the method and the URL
}

// Error says the request, the status, the message and, where known, the request id.
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

// newError makes the error for a response. The problem is what a 200 fails at; of the others, the
// body says it: {"error": {"status", "message", "id", "details"}}, or anything else, from a proxy
// for instance.
func (c *Client) newError(resp *Response, body []byte, problem string) *Error {
	e := &Error{
		Status:  resp.StatusCode,
		Message: problem,
		ID:      resp.RequestID,
		request: resp.Request.Method + " " + resp.Request.URL.String(),
	}
	var answer struct{ Error map[string]any }
	if problem == "" && json.Unmarshal(body, &answer) == nil {
		e.Message, _ = answer.Error["message"].(string)
		e.Details, _ = answer.Error["details"].(map[string]any)
		if id, ok := answer.Error["id"].(string); ok && id != "" && !c.hasToken(id) {
			e.ID = id
		}
	}
	if location := resp.Header.Get("Location"); e.Message == "" && location != "" {
		e.Message = fmt.Sprintf("redirected to %q, which is not followed to another server", location)
	}
	if problem != "" || e.Message == "" {
		words := describe(c.withoutToken(resp.Header.Get("Content-Type")), c.withoutToken(string(body)))
		e.Message = strings.TrimPrefix(e.Message+"; "+words, "; ")
	}
	e.Message = c.withoutToken(e.Message)
	return e
}

// hasToken reports whether the token is in a text. No token is in none.
func (c *Client) hasToken(s string) bool { return c.token != "" && strings.Contains(s, c.token) }

func (c *Client) withoutToken(s string) string {
	if c.token == "" {
		return s
	}
	return strings.ReplaceAll(s, c.token, "[token]")
}

var htmlTag = regexp.MustCompile(`<[^>]*>`)

// describe says what kind of response it is instead of the API's, with its first words, so that a
// person recognizes it.
func describe(contentType, body string) string {
	if len(body) == 0 {
		return "the response is empty"
	}
	if contentType == "" {
		contentType = "of no declared type"
	}
	return fmt.Sprintf(
		"the response is %s: %q",
		excerpt(contentType),
		excerpt(htmlTag.ReplaceAllString(body, " ")),
	)
}

// excerpt is the beginning of a text, on one line and printable.
func excerpt(s string) string {
	const most = 80
	words := strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	runes := []rune(strings.Join(words, " "))
	if len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return string(runes)
}
