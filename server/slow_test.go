package server_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A caller that is slow holds a connection for as long as the server lets it, and no longer.
func TestSlowClients(t *testing.T) {
	tests := []struct {
		name  string
		use   func(t *testing.T, c *pipe, request string)
		limit time.Duration
	}{
		{
			name:  "sends nothing",
			use:   func(*testing.T, *pipe, string) {},
			limit: 5 * time.Second,
		},
		{
			name: "stops within the header",
			use: func(t *testing.T, c *pipe, request string) {
				write(t, c, strings.TrimSuffix(request, "\r\n"))
			},
			limit: 5 * time.Second,
		},
		{
			name: "sends no body",
			use: func(t *testing.T, c *pipe, request string) {
				header := "Content-Length: 9\r\n\r\n"
				c.want(t, strings.TrimSuffix(request, "\r\n")+header, 200)
			},
			limit: 0, // nobody waits for it
		},
		{
			name:  "does not read the response",
			use:   func(t *testing.T, c *pipe, request string) { write(t, c, request) },
			limit: 30 * time.Second,
		},
		{
			name:  "asks nothing more",
			use:   func(t *testing.T, c *pipe, request string) { c.want(t, request, 200) },
			limit: 2 * time.Minute,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				s := a.serve()
				c := s.connect(t)
				start := time.Now()
				test.use(t, c, get(runPath(t, exampleKey), secret))
				<-c.ended
				// net/http may linger a little, so that the other side sees the response before the
				// end.
				if took := time.Since(start); took < test.limit || took > test.limit+time.Second {
					t.Errorf("the connection ends after %v, want %v", took, test.limit)
				}
				s.shutDown(t)
			})
		})
	}
}

func TestSlowBodyGetsAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newRecordingAPI(t)
		s := a.serve()
		c := s.connect(t)
		start := time.Now()
		c.want(t, "PUT /v1/projects/p/jobs/j/runs/r HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+secret+
			"\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", 400)
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the response comes after %v", took)
		}
		<-c.ended
		s.shutDown(t)
	})
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestHeaderLimit(t *testing.T) {
	tests := []struct {
		name   string
		filler int // bytes in a header of the request
		want   int
	}{
		{"none", 0, 200},
		{"within the limit", 63 << 10, 200},
		{"over the limit", 65 << 10, 431},
		{"over what net/http takes", 256 << 10, 431},
		{"far over the limit", 1 << 20, 431},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				s := a.serve()
				request := get(runPath(t, exampleKey), secret)
				filled := strings.TrimSuffix(
					request,
					"\r\n",
				) + "X-Filler: " + strings.Repeat(
					"a",
					test.filler,
				) + "\r\n\r\n"
				s.connect(t).want(t, filled, test.want)
				s.connect(t).want(t, request, 200)
				s.shutDown(t)
			})
		})
	}
}
