package listen

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Refuser says what a caller is told whose request net/http refuses, before it reaches the handler:
// the headers and the body of the response. The reason is a sentence without anything that the
// caller sent.
type Refuser interface {
	Refuse(remote string, status int, reason string) (header http.Header, body []byte)
}

// What net/http writes in place of a handler: to a request that it cannot read, and to one without
// TLS that comes to a port with it. It is not in a form that a handler's response has, which always
// has a date.
var (
	refusal = regexp.MustCompile(`^HTTP/1\.1 (\d{3}) [^\r\n]*\r\nContent-Type: text/plain; charset=utf-8\r\n` +
		`Connection: close\r\n\r\n([^\r\n]*)$`)
	plainOnTLS = []byte("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
)

// refusingListener accepts connections on which a Refuser's words take the place of net/http's. What
// is encrypted is left as it is.
type refusingListener struct {
	net.Listener
	refuser Refuser
}

// Accept accepts a connection.
func (l refusingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return refusingConn{conn, l.refuser}, nil
}

type refusingConn struct {
	net.Conn
	refuser Refuser
}

// Write writes, or has the refuser say it if it is net/http that refuses a request.
func (c refusingConn) Write(p []byte) (int, error) {
	status, reason, ok := refused(p)
	if !ok {
		return c.Conn.Write(p)
	}
	header, body := c.refuser.Refuse(c.RemoteAddr().String(), status, reason)
	header.Set("Connection", "close")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	var response bytes.Buffer
	fmt.Fprintf(&response, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = header.Write(&response) // to memory, which never fails
	response.WriteString("\r\n")
	response.Write(body)
	if _, err := c.Conn.Write(response.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// refused reports whether net/http refuses a request with what it writes, and why.
func refused(p []byte) (status int, reason string, ok bool) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.")) {
		return 0, "", false
	}
	if bytes.Equal(p, plainOnTLS) {
		return http.StatusBadRequest, "client sent an HTTP request to an HTTPS server", true
	}
	match := refusal.FindSubmatch(p)
	if match == nil {
		return 0, "", false
	}
	status, _ = strconv.Atoi(string(match[1])) // three digits
	reason = strings.TrimPrefix(string(match[2]), fmt.Sprintf("%d %s", status, http.StatusText(status)))
	return status, strings.TrimPrefix(reason, ": "), true
}

// CloseWrite tells the other end that nothing more comes, if the connection can: see lazyConn.
func (c refusingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
