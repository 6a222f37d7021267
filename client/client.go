// Package client asks the API for the details of job runs, and finds them: it lists projects, jobs
// and runs.
//
// It follows the contract of this module's openapi.yaml, and works with the Northflank API as well.
// [New] makes a client, which is safe for concurrent use:
//
//	c, err := client.New("https://api.northflank.com", client.WithToken(token))
//	run, resp, err := c.GetJobRun(ctx, client.RunRef{Project: "nightly", Job: "backup", Run: id})
//
// Each operation of the contract has a method of the same name, which also calls the operation's
// team variant. A response other than 200 is an [*Error]; compare it with [ErrNotFound] and the
// like by [errors.Is]. [Client.WaitForJobRun] returns when the run has concluded. [Client.JobRuns]
// iterates over the runs of a job, and [Client.LatestJobRun] returns the newest.
//
// After a broken connection or a response with the status 429, 502, 503 or 504, the client sends a
// request again, up to four times (see [WithMaxRetries]) and never past the context's deadline. It
// waits as long as the response demands in Retry-After (RFC 9110, section 10.2.3) or, with 429, in
// x-ratelimit-reset, else for a moment that doubles each time. If the deadline leaves no room for
// the wait, the method returns the error at once. Without a deadline, the same holds for a wait of
// more than a minute. A request that may change something is sent only once, unless the contract
// says that it is idempotent.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-cleanhttp"
	api "github.com/jobruns/jobruns/gen/client"
)

// Client asks one server for job runs.
type Client struct {
	server     string // the base URL with a trailing slash
	http       http.Client
	token      string
	header     http.Header // of every request
	editors    []api.RequestEditorFn
	maxRetries int
	rootCAs    *x509.CertPool
}

// Option configures the client that [New] makes.
type Option func(*Client)

// WithToken sends the token with every request, as "Authorization: Bearer TOKEN" (RFC 6750, section
// 2.1). The client sends it only to the server of the base URL, whatever that redirects to, and
// removes it from errors.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient makes requests with a copy of hc, which must not be nil: its transport, its
// cookies, its timeout (of a single try). The client follows redirects within the same server only,
// whatever the CheckRedirect of hc.
func WithHTTPClient(hc *http.Client) Option { return func(c *Client) { c.http = *hc } }

// WithRootCAs trusts only servers with certificates from these authorities, instead of those of the
// system. It does not go with [WithHTTPClient], whose transport has authorities of its own.
func WithRootCAs(pool *x509.CertPool) Option { return func(c *Client) { c.rootCAs = pool } }

// WithUserAgent replaces the User-Agent header.
func WithUserAgent(userAgent string) Option {
	return func(c *Client) { c.header.Set("User-Agent", userAgent) }
}

// WithMaxRetries sets how often a request is sent again: 4 by default, 0 for never. It does not
// bound the requests of [Client.WaitForJobRun].
func WithMaxRetries(n int) Option { return func(c *Client) { c.maxRetries = n } }

// New makes a client of the server at baseURL, an absolute http or https URL:
// "https://api.northflank.com", with or without a path prefix and a trailing slash. It fails for
// any other URL, and for one with user information, a query or a fragment, which could not be sent
// as meant. It finds proxies like net/http, in HTTPS_PROXY and similar variables.
func New(baseURL string, opts ...Option) (*Client, error) {
	if err := checkBaseURL(baseURL); err != nil {
		return nil, err
	}
	// Connections of its own, because a request that fails closes the idle ones.
	transport := cleanhttp.DefaultPooledTransport()
	transport.OnProxyConnectResponse = checkProxy
	c := &Client{
		server: strings.TrimRight(baseURL, "/") + "/",
		http:   http.Client{Transport: transport},
		header: http.Header{
			"Accept":     {"application/json"},
			"User-Agent": {"jobruns-client (+https://github.com/jobruns/jobruns)"},
		},
		maxRetries: 4,
	}
	for _, opt := range opts {
		opt(c)
	}
	if c.token != "" {
		c.header.Set("Authorization", "Bearer "+c.token)
	}
	c.editors = []api.RequestEditorFn{func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, c.header)
		return nil
	}}
	if c.rootCAs != nil {
		if c.http.Transport != transport {
			return nil, errors.New("WithRootCAs does not go with WithHTTPClient: set RootCAs in its transport")
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.rootCAs}
	}
	c.http.CheckRedirect = sameServer
	return c, nil
}

func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("base URL: not a URL") // its text may contain a password
	case u.User != nil:
		return fmt.Errorf("base URL of host %q: user information does not belong here, use a token", u.Host)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("base URL %q: not an absolute http or https URL", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("base URL of host %q: a query or fragment does not belong here", u.Host)
	}
	return nil
}
