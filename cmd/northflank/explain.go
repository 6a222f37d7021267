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

// explain says in the user's terms what any request can fail at. The response is nil if there was
// none.
func explain(err error, resp *client.Response, conn connection) error {
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return explained(err, conn, "%s refuses the token of %s", conn.host, conn.tokenFrom)
	case errors.Is(err, client.ErrRateLimited):
		return explained(
			err,
			conn,
			"%s has had too many requests with the token of %s%s",
			conn.host,
			conn.tokenFrom,
			tryAgain(resp),
		)
	}
	if advice := advise(err, conn); advice != "" {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

// advise says what to do about an error, or nothing if there is nothing that helps.
func advise(err error, conn connection) string {
	var wrongName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var absent *net.DNSError
	var address *net.AddrError
	var apiErr *client.Error
	secure, isPlain := strings.CutPrefix(conn.host, "http://")
	switch {
	case errors.As(err, &wrongName):
		return fmt.Sprintf("in %s, name the server as its certificate does", conn.hostFrom)
	case errors.As(err, &unknown):
		return "if its authority is not one that the system knows, give --ca-cert"
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("if it speaks plain HTTP, give http://%s in %s",
			strings.TrimPrefix(conn.host, "https://"), conn.hostFrom)
	case errors.Is(err, client.ErrProxyPassword):
		return "set HTTPS_PROXY, or HTTP_PROXY, to http://USER:PASSWORD@HOST:PORT"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("check that the server runs, and the host and the port in %s", conn.hostFrom)
	case errors.As(err, &absent) && absent.IsNotFound:
		return fmt.Sprintf("check the host in %s", conn.hostFrom)
	case errors.As(err, &address): // such as a port that is none
		return fmt.Sprintf("check the host and the port in %s", conn.hostFrom)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the time was up before %s had answered: check that it can be reached", conn.host)
	case !errors.As(err, &apiErr):
		return ""
	case strings.HasSuffix(conn.host, "/v1"):
		return fmt.Sprintf("leave /v1 out in %s: paths begin with it anyway", conn.hostFrom)
	case isPlain && apiErr.Status == http.StatusBadRequest && strings.Contains(apiErr.Message, "HTTPS server"):
		return fmt.Sprintf("give https://%s in %s", secure, conn.hostFrom)
	}
	return ""
}

// explained puts the server's own words and the request id, if it has one, after ours. The error is
// a [*client.Error].
func explained(err error, conn connection, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if apiErr := (*client.Error)(nil); errors.As(err, &apiErr) {
		message += ": " + apiErr.Message
		if apiErr.ID != "" {
			message += " (request " + apiErr.ID + ")"
		}
	}
	if advice := advise(err, conn); advice != "" {
		message += ": " + advice
	}
	return errors.New(message)
}

// tryAgain says when it is worth it, if the server does. The response is nil if there was none.
func tryAgain(resp *client.Response) string {
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

// trace is what --verbose shows. The token is in none of it.
func trace(resp *client.Response) string {
	status := resp.Status
	if token := strings.TrimPrefix(resp.Request.Header.Get("Authorization"), "Bearer "); token != "" {
		status = strings.ReplaceAll(status, token, "[token]")
	}
	lines := []string{
		resp.Request.Method + " " + resp.Request.URL.String(),
		"status: " + status,
	}
	if resp.RequestID != "" {
		lines = append(lines, "request id: "+resp.RequestID)
	}
	if limit := resp.RateLimit; limit != (client.RateLimit{}) {
		lines = append(
			lines,
			fmt.Sprintf("rate limit: %d of %d requests left, reset in %v", limit.Remaining, limit.Limit, limit.Reset),
		)
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(printable(line) + "\n")
	}
	return b.String()
}

// printable escapes what a terminal would act upon: escape sequences, line ends, changes of the
// writing direction.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
