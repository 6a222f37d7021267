package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/jobruns/jobruns/client"
)

// nameOf names a project, a job or a run in a sentence.
func nameOf(ref client.RunRef) string {
	var name string
	switch {
	case ref.Run != "":
		name = fmt.Sprintf("run %q of job %q in project %q", ref.Run, ref.Job, ref.Project)
	case ref.Job != "":
		name = fmt.Sprintf("job %q in project %q", ref.Job, ref.Project)
	case ref.Project != "":
		name = fmt.Sprintf("project %q", ref.Project)
	default:
		name = "project"
	}
	if ref.Team != "" {
		name += fmt.Sprintf(" of team %q", ref.Team)
	}
	return name
}

// userError describes in the user's terms why a request failed. The response is nil if there was
// none.
func (r *request) userError(err error, resp *client.Response) error {
	switch {
	case errors.Is(err, client.ErrNotFound):
		return r.conn.errorf(err, "%s has no %s", r.conn.host, nameOf(r.ref))
	case errors.Is(err, client.ErrForbidden):
		return r.conn.errorf(err, "%s does not let the token of %s see %s", r.conn.host, r.conn.tokenFrom, nameOf(r.ref))
	case errors.Is(err, context.DeadlineExceeded) && r.ref.Project != "":
		err = fmt.Errorf("waiting for %s: %w", nameOf(r.ref), err)
	}
	return r.conn.userError(err, resp)
}

// userError is like [request.userError], for the errors that any request can have.
func (c connection) userError(err error, resp *client.Response) error {
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return c.errorf(err, "%s refuses the token of %s", c.host, c.tokenFrom)
	case errors.Is(err, client.ErrRateLimited):
		return c.errorf(err, "%s has had too many requests with the token of %s%s", c.host, c.tokenFrom, retryAfter(resp))
	}
	if advice := c.advice(err); advice != "" {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

// errorf appends the server's own words and the request ID, if there is one, to our message.
func (c connection) errorf(err error, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if apiErr := (*client.Error)(nil); errors.As(err, &apiErr) {
		message += ": " + apiErr.Message
		if apiErr.ID != "" {
			message += " (request " + apiErr.ID + ")"
		}
	}
	if advice := c.advice(err); advice != "" {
		message += ": " + advice
	}
	return errors.New(message)
}

// advice returns what the user can do about an error, or "".
func (c connection) advice(err error) string {
	var wrongName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var absent *net.DNSError
	var address *net.AddrError
	var apiErr *client.Error
	rest, isPlain := strings.CutPrefix(c.host, "http://")
	switch {
	case errors.As(err, &wrongName):
		return fmt.Sprintf("in %s, name the server as its certificate does", c.hostFrom)
	case errors.As(err, &unknown):
		return "if its authority is not one that the system knows, give --ca-cert"
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("if it speaks plain HTTP, give http://%s in %s",
			strings.TrimPrefix(c.host, "https://"), c.hostFrom)
	case errors.Is(err, client.ErrProxyPassword):
		return "set HTTPS_PROXY, or HTTP_PROXY, to http://USER:PASSWORD@HOST:PORT"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("check that the server runs, and the host and the port in %s", c.hostFrom)
	case errors.As(err, &absent) && absent.IsNotFound:
		return fmt.Sprintf("check the host in %s", c.hostFrom)
	case errors.As(err, &address): // such as an invalid port
		return fmt.Sprintf("check the host and the port in %s", c.hostFrom)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("timed out waiting for %s: check that it can be reached", c.host)
	case !errors.As(err, &apiErr):
		return ""
	case strings.HasSuffix(c.host, "/v1"):
		return fmt.Sprintf("leave /v1 out in %s: paths begin with it anyway", c.hostFrom)
	case isPlain && apiErr.Status == http.StatusBadRequest && strings.Contains(apiErr.Message, "HTTPS server"):
		return fmt.Sprintf("give https://%s in %s", rest, c.hostFrom)
	}
	return ""
}

// retryAfter returns the time after which the server takes requests again, as part of a sentence, or
// "". The response is nil if there was none.
func retryAfter(resp *client.Response) string {
	if resp == nil {
		return ""
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		if _, err := strconv.Atoi(after); err == nil {
			after += "s"
		}
		return ", try again after " + after
	}
	if resp.RateLimit.Reset > 0 {
		return ", try again after " + resp.RateLimit.Reset.String()
	}
	return ""
}
