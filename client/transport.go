package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/hashicorp/go-retryablehttp"

	api "github.com/jobruns/jobruns/gen/client"
)

// maxBody is the maximum number of bytes of a response. A run takes less than a kilobyte.
const maxBody = 1 << 20

var errTooLarge = fmt.Errorf("the response is longer than %d bytes", maxBody)

// call is one call of an operation. A V is its result, made from a T, which is the parsed body. The
// call is the transport of the generated client, and keeps the response: the generated code returns
// none if it cannot parse the body.
type call[T, V any] struct {
	api.ClientWithResponses
	client *Client
	value  func(parsed *T, body []byte) (value *V, ok bool)
	resp   *Response // nil until there is one
}

// newCall makes a call. The function value returns its result, and reports whether the body is one
// of the operation, because the generated code also parses JSON objects of another kind.
func newCall[T, V any](c *Client, value func(parsed *T, body []byte) (*V, bool)) *call[T, V] {
	call := &call[T, V]{client: c, value: value}
	call.ClientInterface = &api.Client{Server: c.server, Client: call, RequestEditors: c.editors}
	return call
}

// Do returns only a 200; any other response is an [*Error].
func (c *call[T, V]) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.client.send(req)
	if err != nil {
		return nil, err
	}
	c.resp = &Response{
		Response:  resp,
		RequestID: c.client.redact(resp.Header.Get("X-Request-Id")),
		RateLimit: newRateLimit(resp.Header),
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.client.newError(c.resp, "")
	}
	return resp, nil
}

// generated is a response type of the generated client.
type generated[T any] interface {
	GetJSON200() *T
	GetBody() []byte
}

// result returns the results of the operation's method, from those of the generated one.
func (c *call[T, V]) result(r generated[T], err error) (*V, *Response, error) {
	if c.resp == nil || c.resp.StatusCode != http.StatusOK {
		return nil, c.resp, err
	}
	problem := "not a response of this operation"
	if err != nil {
		problem += ": " + err.Error()
	} else if r.GetJSON200() != nil && bytes.HasPrefix(bytes.TrimSpace(r.GetBody()), []byte("{")) {
		if value, ok := c.value(r.GetJSON200(), r.GetBody()); ok {
			return value, c.resp, nil
		}
	}
	return nil, c.resp, c.client.newError(c.resp, problem)
}

// send sends the request, and retries it if necessary. The response has a rereadable body.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	retryable, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	retryable.SetResponseHandler(buffer)
	var tries tries
	if idempotent(req.Method) {
		tries.left = c.maxRetries
	}
	sender := retryablehttp.Client{
		HTTPClient:   &c.http,
		RetryMax:     c.maxRetries,
		CheckRetry:   tries.check,
		Backoff:      tries.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return sender.Do(retryable)
}

// rereadable is a body in memory. Close rewinds it.
type rereadable struct{ *bytes.Reader }

func (r rereadable) Close() error {
	_, err := r.Seek(0, io.SeekStart)
	return err
}

// buffer reads the body while the request can still be sent again.
func buffer(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(body) > maxBody {
		body, err = body[:maxBody], errTooLarge
	}
	if resp.StatusCode == http.StatusOK { // the body of an error is useful even if it is incomplete
		if err != nil {
			return fmt.Errorf("%s %s: %w", resp.Request.Method, resp.Request.URL, err)
		}
		body = nullEmptyTimes(body)
	}
	resp.Body = rereadable{bytes.NewReader(body)}
	return nil
}

// emptyTime matches a member such as "concludedAt": "". It cannot match inside a JSON string, where
// a backslash precedes each quotation mark.
var emptyTime = regexp.MustCompile(`([{,\s]"(?:started|concluded)At"\s*:\s*)""`)

// nullEmptyTimes replaces an empty time by null. The Northflank API sends it for a time that is not
// known, and generated code cannot parse it.
func nullEmptyTimes(body []byte) []byte {
	if !bytes.Contains(body, []byte(`""`)) {
		return body
	}
	return emptyTime.ReplaceAll(body, []byte("${1}null"))
}

// sameServer is a CheckRedirect that follows no redirect to another scheme, host or port, because
// net/http sends the token to another port, to a subdomain and from https to http. Such a redirect is
// then the response. It follows at most 10 others.
func sameServer(req *http.Request, via []*http.Request) error {
	if from := via[0].URL; req.URL.Scheme != from.Scheme || req.URL.Host != from.Host {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}
