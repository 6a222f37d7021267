package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jobruns/jobruns/client"
)

// explain says in the user's terms what any request can fail at. The response is nil if there was
// none.
func explain(err error, resp *client.Response, conn connection) error {
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return explained(err, "%s refuses the token of %s", conn.host, conn.tokenFrom)
	case errors.Is(err, client.ErrRateLimited):
		return explained(
			err,
			"%s has had too many requests with the token of %s%s",
			conn.host,
			conn.tokenFrom,
			tryAgain(resp),
		)
	}
	if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("%w: if its authority is not one that the system knows, give --ca-cert", err)
	}
	return err
}

// explained puts the server's own words and the request id, if it has one, after ours. The error is
// a [*client.Error].
func explained(err error, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if apiErr := (*client.Error)(nil); errors.As(err, &apiErr) {
		message += ": " + apiErr.Message
		if apiErr.ID != "" {
			message += " (request " + apiErr.ID + ")"
		}
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
	lines := []string{
		resp.Request.Method + " " + resp.Request.URL.String(),
		"status: " + resp.Status,
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
