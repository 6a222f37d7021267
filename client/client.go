// Package client asks the API for the details of job runs, and finds them: it lists projects, jobs
// and runs.
//
// It speaks the contract of this module's openapi.yaml, and works against the Northflank API just
// as well. A client is made with [New] and is safe for concurrent use:
//
//	c, err := client.New("https://api.northflank.com", client.WithToken(token))
//	run, resp, err := c.GetJobRun(ctx, client.RunRef{Project: "default-project", Job: "example-job", Run: id})
//
// A response other than 200 is an [*Error]; [ErrNotFound] and its like say which with [errors.Is].
// [Client.WaitForJobRun] returns when the run has concluded. [Client.JobRuns] iterates over the runs
// of a job, and [Client.LatestJobRun] returns the newest. [Client.JobRunOutcome] says why a run failed.
//
// After a broken connection or a response with the status 429, 502, 503 or 504, a request is sent
// again, up to four times (see [WithMaxRetries]) and never past the context's deadline, after the
// wait that the response names in Retry-After (RFC 9110, section 10.2.3) or, with 429, in
// x-ratelimit-reset, or else after a moment that doubles each time. A wait that the deadline leaves
// no room for is not begun: the error is returned at once. Without a deadline, that goes for a wait
// of more than a minute. A request that may change something is sent once, whatever becomes of it,
// unless the contract says that it is idempotent.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-cleanhttp"
	api "github.com/jobruns/jobruns/gen/client"
	"github.com/jobruns/jobruns/gen/model"
)

// Client asks one server for job runs.
type Client struct {
	api        api.Client
	http       http.Client
	repeatable *http.ServeMux // of requests, besides GET and HEAD, that may be sent again
	token      string
	maxRetries int
	rootCAs    *x509.CertPool

	userAgent, authorization []string // headers, of which the latter has the token
}

// Option changes what [New] makes.
type Option func(*Client)

// WithToken sends the token with every request, as "Authorization: Bearer TOKEN" (RFC 6750, section
// 2.1). It is sent to the server of the base URL only, whatever that redirects to, and appears in
// no error.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHTTPClient makes requests with a copy of hc, which must not be nil: its transport, its
// cookies, its timeout (of a single try). Its CheckRedirect is asked about redirects within the
// same server only; others are never followed.
func WithHTTPClient(hc *http.Client) Option { return func(c *Client) { c.http = *hc } }

// WithRootCAs trusts servers whose certificates come from these authorities, and no others: those
// of the system are not asked. It needs an [*http.Transport], which the client has unless
// [WithHTTPClient] brings another.
func WithRootCAs(pool *x509.CertPool) Option { return func(c *Client) { c.rootCAs = pool } }

// WithUserAgent replaces the User-Agent header.
func WithUserAgent(userAgent string) Option {
	return func(c *Client) { c.userAgent = []string{userAgent} }
}

// WithMaxRetries replaces how many times a request is tried again: 4, unless told; 0 for never.
// [Client.WaitForJobRun] goes on all the same.
func WithMaxRetries(n int) Option { return func(c *Client) { c.maxRetries = n } }

// New makes a client of the server at baseURL, an absolute http or https URL:
// "https://api.northflank.com", with or without a path prefix and a trailing slash. It fails for
// any other URL, and for one with user information, a query or a fragment, none of which could be
// sent as meant. Proxies are found as net/http finds them, in HTTPS_PROXY and its like.
func New(baseURL string, opts ...Option) (*Client, error) {
	if err := checkBaseURL(baseURL); err != nil {
		return nil, err
	}
	// Connections of its own: a request given up closes the idle ones.
	transport := cleanhttp.DefaultPooledTransport()
	transport.OnProxyConnectResponse = checkProxy
	c := &Client{
		http:       http.Client{Transport: transport},
		userAgent:  []string{"jobruns-client (+https://github.com/jobruns/jobruns)"},
		maxRetries: 4,
	}
	for _, opt := range opts {
		opt(c)
	}
	c.authorization = []string{"Bearer " + c.token}
	if c.rootCAs != nil {
		if err := c.trust(c.rootCAs); err != nil {
			return nil, err
		}
	}
	c.http.CheckRedirect = sameServer(c.http.CheckRedirect)
	c.repeatable = patterns(repeatable, baseURL)
	c.api = api.Client{
		Server:         strings.TrimRight(baseURL, "/") + "/",
		Client:         doer(c.do),
		RequestEditors: []api.RequestEditorFn{c.setHeaders},
	}
	return c, nil
}

// trust leaves the transport that it was given as it is.
func (c *Client) trust(pool *x509.CertPool) error {
	given := c.http.Transport
	if given == nil {
		given = http.DefaultTransport
	}
	transport, ok := given.(*http.Transport)
	if !ok {
		return fmt.Errorf("WithRootCAs: the transport is a %T", given)
	}
	transport = transport.Clone()
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	transport.TLSClientConfig.RootCAs = pool
	c.http.Transport = transport
	return nil
}

func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("base URL: not a URL") // what it is instead may hold a password
	case u.User != nil:
		return fmt.Errorf("base URL of host %q: user information does not belong here, use a token", u.Host)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("base URL %q: not an absolute http or https URL", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("base URL of host %q: a query or fragment does not belong here", u.Host)
	}
	return nil
}

// RunRef says which run is meant.
type RunRef struct {
	Team    string // ID of the team; empty for the team that the token belongs to
	Project string // ID of the project
	Job     string // ID of the job
	Run     string // ID of the job run
}

func (r RunRef) check() error {
	return checkIDs("RunRef.", id{"Project", r.Project}, id{"Job", r.Job}, id{"Run", r.Run}, id{"Team", r.Team})
}

// id is one of those in a path.
type id struct{ name, value string }

// checkIDs refuses what would make the path of another operation. A team may be empty.
func checkIDs(prefix string, ids ...id) error {
	for _, id := range ids {
		switch {
		case id.value == "" && !strings.EqualFold(id.name, "Team"):
			return fmt.Errorf("%s%s is empty", prefix, id.name)
		case id.value == "." || id.value == "..":
			return fmt.Errorf("%s%s is %q, which is no ID", prefix, id.name, id.value)
		}
	}
	return nil
}

// GetJobRun returns the details of a run. Its ConcludedAt is nil while it has not concluded,
// whether the server says null, "" or nothing at all. Its StartedAt is zero in the same way.
//
// The error is an [*Error] for a response other than 200 (in particular [ErrBadRequest],
// [ErrUnauthorized], [ErrForbidden], [ErrNotFound], [ErrRateLimited]) and for a 200 that holds no
// run; the transport's (a [*url.Error] mostly) or the context's when there was no response, or none
// that could be read; and a plain one for a reference without a Project, Job or Run, which is not
// sent. The run is nil with every error, the response with every one but an [*Error].
//
// Operation getJobRun: GET /v1/projects/{projectId}/jobs/{jobId}/runs/{runId}, or, with a team,
// getTeamJobRun: GET /v1/teams/{teamId}/projects/{projectId}/jobs/{jobId}/runs/{runId}
func (c *Client) GetJobRun(ctx context.Context, ref RunRef) (*JobRun, *Response, error) {
	return c.getJobRun(ctx, ref, nil)
}

// getJobRun is GetJobRun with a preference (RFC 7240), or with none if that is nil.
func (c *Client) getJobRun(ctx context.Context, ref RunRef, prefer *model.Prefer) (*JobRun, *Response, error) {
	if err := ref.check(); err != nil {
		return nil, nil, err
	}
	var answer *http.Response
	var err error
	switch {
	case ref.Team != "":
		answer, err = c.api.GetTeamJobRun(
			ctx,
			ref.Team,
			ref.Project,
			ref.Job,
			ref.Run,
			&model.GetTeamJobRunParams{Prefer: prefer},
		)
	case prefer != nil:
		answer, err = c.api.GetJobRun(ctx, ref.Project, ref.Job, ref.Run, &model.GetJobRunParams{Prefer: prefer})
	default:
		answer, err = c.api.GetJobRun(ctx, ref.Project, ref.Job, ref.Run, nil)
	}
	return result(c, answer, err, decodeRun)
}

// Login checks the token: the error is nil if the server accepts it, [ErrUnauthorized] if not, and
// otherwise like that of [Client.GetJobRun].
//
// Operation login: GET /v1/login
func (c *Client) Login(ctx context.Context) (*Response, error) {
	answer, err := c.api.Login(ctx)
	_, resp, err := result(c, answer, err, decodeLogin)
	return resp, err
}

// setHeaders sets those that are the same for each request, to values that nobody changes.
func (c *Client) setHeaders(_ context.Context, req *http.Request) error {
	req.Header["Accept"] = acceptJSON
	req.Header["User-Agent"] = c.userAgent
	if c.token != "" {
		req.Header["Authorization"] = c.authorization
	}
	return nil
}

var acceptJSON = []string{"application/json"}
