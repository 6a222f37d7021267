package client

import (
	"net/http"
	"strconv"
	"time"
)

// Response is a response of the server.
type Response struct {
	// Response is the raw response. Its body has been read and is there to be read once more;
	// closing it is not needed.
	*http.Response

	// RequestID is what the server calls the request (X-Request-Id), and its log too; empty if it
	// does not say, or says the token.
	RequestID string

	// RateLimit is the zero value if the server sent none.
	RateLimit RateLimit
}

// RateLimit is what the token may still ask for in the current window.
type RateLimit struct {
	Limit     int           // requests in a window (x-ratelimit-limit)
	Remaining int           // of them, left (x-ratelimit-remaining)
	Reset     time.Duration // from the response to the end of the window, in whole seconds (x-ratelimit-reset)
}

// result makes what a method returns of what the generated client returned.
func result[T any](
	c *Client,
	answer *http.Response,
	err error,
	decode func([]byte) (*T, error),
) (*T, *Response, error) {
	if err != nil {
		return nil, nil, err
	}
	resp := &Response{
		Response:  answer,
		RequestID: answer.Header.Get("X-Request-Id"),
		RateLimit: rateLimit(answer.Header),
	}
	if c.hasToken(resp.RequestID) {
		resp.RequestID = ""
	}
	body := answer.Body.(*content).bytes
	if answer.StatusCode != http.StatusOK {
		return nil, resp, c.newError(resp, body, "")
	}
	value, err := decode(body)
	if err != nil {
		return nil, resp, c.newError(resp, body, err.Error())
	}
	return value, resp, nil
}

func rateLimit(h http.Header) RateLimit {
	var r RateLimit
	r.Limit = number(h.Get("X-Ratelimit-Limit"))
	r.Remaining = number(h.Get("X-Ratelimit-Remaining"))
	r.Reset, _ = parseSeconds(h.Get("X-Ratelimit-Reset"))
	return r
}

// number returns 0 for what is none.
func number(s string) int {
	if s == "" {
		return 0 // without an error, which would take memory
	}
	n, _ := strconv.Atoi(s)
	return n
}
