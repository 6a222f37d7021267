package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/hashicorp/go-retryablehttp"
)

// maxBody is how many bytes of a response are read. A run takes less than a kilobyte.
const maxBody = 1 << 20

// errTooLarge is worth no second try.
var errTooLarge = fmt.Errorf("the response is longer than %d bytes", maxBody)

// doer makes a function the generated client's transport.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// do sends the request, again if need be. The body of the response has been read whole, into a
// *content.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	retryable, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	retryable.SetResponseHandler(buffer)
	var sending struct {
		tries
		retryablehttp.Client
	}
	if c.repeats(req) {
		sending.left = c.maxRetries
	}
	sending.Client = retryablehttp.Client{
		HTTPClient:   &c.http,
		RetryMax:     c.maxRetries,
		CheckRetry:   sending.check,
		Backoff:      sending.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return sending.Do(retryable)
}

// content is a body that has been read, and is there to be read once more.
type content struct {
	bytes.Reader
	bytes []byte
}

// Close does nothing: the body has been read.
func (*content) Close() error { return nil }

// buffer reads the body while the request can still be tried again, and leaves a copy in its place.
func buffer(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := readBody(resp)
	if len(body) > maxBody {
		body, err = body[:maxBody], errTooLarge
	}
	read := &content{bytes: body}
	read.Reset(body)
	resp.Body = read
	if err != nil && resp.StatusCode == http.StatusOK { // of an error, half an explanation is better than none
		return fmt.Errorf("%s %s: %w", resp.Request.Method, resp.Request.URL, err)
	}
	return nil
}

// readBody reads up to one byte more than maxBody, into memory of the size that Content-Length
// says.
func readBody(resp *http.Response) ([]byte, error) {
	if resp.ContentLength < 0 || resp.ContentLength > maxBody {
		return io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	}
	body := make([]byte, resp.ContentLength)
	n, err := io.ReadFull(resp.Body, body)
	return body[:n], err
}

// sameServer keeps a request, and the token with it, from following a redirect to another scheme,
// host or port: net/http itself takes the token along to another port, to a subdomain and from
// https to http. The redirect is then the response. Others are left to next, or if that is nil to
// the limit that net/http has by default.
func sameServer(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if from := via[0].URL; req.URL.Scheme != from.Scheme || req.URL.Host != from.Host {
			return http.ErrUseLastResponse
		}
		if next != nil {
			return next(req, via)
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
}
