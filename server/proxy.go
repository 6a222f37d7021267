package server

import (
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"
)

// The headers in which a proxy passes on the address of its caller.
const (
	XForwardedFor = echo.HeaderXForwardedFor
	Forwarded     = "Forwarded" // RFC 7239
)

// callerAddress returns a function that returns the address of a request's caller: that of the
// connection, or if that is one of the proxies, the last address before it that is none. A proxy
// adds the address of its own caller at the end of the header, XForwardedFor or Forwarded. The
// other header is the caller's own.
func callerAddress(proxies []netip.Prefix, header string) echo.IPExtractor {
	return func(r *http.Request) string {
		caller, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return r.RemoteAddr
		}
		if !trusted(proxies, caller) {
			return caller
		}
		var before []string
		for _, line := range r.Header.Values(header) {
			if header == Forwarded {
				before = append(before, forwardedFor(line)...)
			} else {
				before = append(before, strings.Split(line, ",")...)
			}
		}
		for i := len(before) - 1; i >= 0 && trusted(proxies, caller); i-- {
			address := withoutPort(strings.TrimSpace(before[i]))
			if _, err := netip.ParseAddr(address); err != nil {
				break // "unknown", or a name that only the proxy knows
			}
			caller = address
		}
		return caller
	}
}

func trusted(proxies []netip.Prefix, caller string) bool {
	address, err := netip.ParseAddr(caller)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(address.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// forwardedPair is a pair of an element of a Forwarded header, and what ends it. The value is
// quoted or has no separator.
var forwardedPair = regexp.MustCompile(`^[ \t]*(?:([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^" \t,;]*)))?[ \t]*([,;]|$)`)

// forwardedFor returns the address of each element of a line of a Forwarded header. If a part of
// the line cannot be parsed, it returns "" for all elements from there on: in an open quotation, a
// caller could hide the element that the proxy adds.
func forwardedFor(line string) []string {
	addresses := []string{""}
	for {
		pair := forwardedPair.FindStringSubmatch(line)
		if pair == nil {
			return append(addresses, "")
		}
		if strings.EqualFold(pair[1], "for") {
			addresses[len(addresses)-1] = pair[2] + pair[3]
		}
		switch line = line[len(pair[0]):]; pair[4] {
		case ",":
			addresses = append(addresses, "")
		case "":
			return addresses
		}
	}
}

// withoutPort returns the address without a port and brackets.
func withoutPort(text string) string {
	if address, err := netip.ParseAddrPort(text); err == nil {
		return address.Addr().String()
	}
	return strings.Trim(text, "[]")
}

// trimSlashes has a path begin with one slash. The official clients put two where their host ends
// with one.
func trimSlashes(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if u := c.Request().URL; strings.HasPrefix(u.Path, "//") {
			u.Path = "/" + strings.TrimLeft(u.Path, "/")
			if u.RawPath != "" {
				u.RawPath = "/" + strings.TrimLeft(u.RawPath, "/")
			}
		}
		return next(c)
	}
}

// maxHeaders is how many bytes the target and the headers of a request may have. Browsers send the
// cookies of all ports of a host, which can be many.
const maxHeaders = 64 << 10

// limitHeaders refuses a request with larger headers.
func limitHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		size := len(r.RequestURI)
		for name, values := range r.Header {
			for _, value := range values {
				size += len(name) + len(value) + len(": \r\n")
			}
		}
		if size > maxHeaders {
			if r.ProtoMajor == 1 { // over HTTP/2, other requests of the connection go on
				c.Response().Header().Set(echo.HeaderConnection, "close")
			}
			return echo.NewHTTPError(http.StatusRequestHeaderFieldsTooLarge)
		}
		return next(c)
	}
}
