package listen

import (
	"testing"
)

func TestRefused(t *testing.T) {
	const plain = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	for written, want := range map[string]struct {
		status int
		reason string
	}{
		"HTTP/1.1 400 Bad Request" + plain + "400 Bad Request":                                                             {400, ""},
		"HTTP/1.1 400 Bad Request: missing required Host header" + plain + "400 Bad Request: missing required Host header": {400, "missing required Host header"},
		"HTTP/1.1 431 Request Header Fields Too Large" + plain + "431 Request Header Fields Too Large":                     {431, ""},
		"HTTP/1.1 501 Not Implemented" + plain + "Unsupported transfer encoding":                                           {501, "Unsupported transfer encoding"},
		"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n":                                {400, "client sent an HTTP request to an HTTPS server"},
		"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n{}":                                                                             {},
		"HTTP/1.1 400 Bad Request\r\nDate: x" + plain + "x":                                                                {}, // a handler's
		"x HTTP/1.1 400 Bad Request" + plain + "400 Bad Request":                                                           {},
		"HTTP/1.1 400 Bad Request" + plain + "400 Bad Request\r\nmore":                                                     {},
		"": {},
	} {
		status, reason, ok := refused([]byte(written))
		if status != want.status || reason != want.reason || ok != (want.status != 0) {
			t.Errorf("%q: %d, %q, %t, want %+v", written, status, reason, ok, want)
		}
	}
}
