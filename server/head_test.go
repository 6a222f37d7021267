package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wire sends a request over a connection of its own, and returns the header and the body as they
// come. An http.Client would not show a body after HEAD.
func wire(t *testing.T, address, method, path, secret string) (int, http.Header, string) {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = fmt.Fprintf(
		connection,
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n",
		method,
		path,
		secret,
	)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := strings.Cut(string(all), "\r\n\r\n")
	if !found {
		t.Fatalf("not an HTTP response: %q", all)
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\r\n\r\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, body
}

// RFC 9110, section 9.3.2: HEAD is answered as GET is, without the body.
func TestHead(t *testing.T) {
	missing := keyWith(exampleKey, "runId", "missing")
	tests := []struct {
		name, path string
		token      bool
		want       int
	}{
		{"a run", runPath(t, exampleKey), true, 200},
		{"a team's run", teamRunPath(t, exampleKey), true, 200},
		{"login", "/v1/login", true, 200},
		{"the document", documentPath, false, 200},
		{"the page", pagePath, false, 200},
		{"malformed", malformed(operationOf(t, "getJobRun")), true, 400},
		{"no token", runPath(t, exampleKey), false, 401},
		{"another team", teamRunPath(t, keyWith(exampleKey, "teamId", "other")), true, 403},
		{"no run", runPath(t, missing), true, 404},
		{"no path", "/v1/unknown", true, 404},
		{"beyond a run", runPath(t, exampleKey) + "/logs", true, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, secret := newFilledAPI(t)
			if !test.token {
				secret = ""
			}
			s := httptest.NewServer(a.handler)
			defer s.Close()
			address := s.Listener.Addr().String()
			status, want, body := wire(t, address, http.MethodGet, test.path, secret)
			if status != test.want || want.Get("Content-Length") != fmt.Sprint(len(body)) {
				t.Errorf("GET: the status is %d, want %d; Content-Length is %s, want %d",
					status, test.want, want.Get("Content-Length"), len(body))
			}
			status, got, body := wire(t, address, http.MethodHead, test.path, secret)
			if status != test.want || body != "" {
				t.Errorf("HEAD: the status is %d, want %d; the body is %q, want none", status, test.want, body)
			}
			for _, header := range []http.Header{want, got} {
				if header.Get("X-Request-Id") == "" {
					t.Error("there is no X-Request-Id")
				}
				// They differ between any two requests.
				header.Del("X-Request-Id")
				header.Del("Date")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-GET +HEAD):\n%s", diff)
			}
		})
	}
}
