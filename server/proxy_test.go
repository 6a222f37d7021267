package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server"
)

func TestCallerBehindProxies(t *testing.T) {
	a := newAPI(t)
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	handlers := map[string]http.Handler{}
	for _, header := range []string{"", server.XForwardedFor, server.Forwarded} {
		handler, err := server.New(a.store, a.logger, server.Options{TrustedProxies: proxies, TrustedHeader: header})
		if err != nil {
			t.Fatal(err)
		}
		handlers[header] = handler
	}
	for _, test := range []struct{ from, header, value, want string }{
		{"10.1.1.1:1", "", "", "10.1.1.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "192.0.2.1", "192.0.2.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "198.51.100.1, 192.0.2.1", "192.0.2.1"}, // the caller wrote the first
		{"10.1.1.1:1", "X-Forwarded-For", "192.0.2.1, 10.2.2.2", "192.0.2.1"},     // two proxies
		{"10.1.1.1:1", "X-Forwarded-For", "192.0.2.1:4711", "192.0.2.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "[2001:db9::1]:4711", "2001:db9::1"},
		{"10.1.1.1:1", "X-Forwarded-For", "192.0.2.1, unknown", "10.1.1.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "", "10.1.1.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "10.3.3.3", "10.3.3.3"},
		{"[::ffff:10.1.1.1]:1", "X-Forwarded-For", "192.0.2.1", "192.0.2.1"},
		{"[2001:db8::1]:1", "Forwarded", `for=192.0.2.1;proto=https`, "192.0.2.1"},
		{"[2001:db8::1]:1", "Forwarded", `for=198.51.100.1, proto=https; For="[2001:db9::1]:4711"`, "2001:db9::1"},
		{"[2001:db8::1]:1", "Forwarded", `for=192.0.2.1, for=_hidden`, "2001:db8::1"},
		{"[2001:db8::1]:1", "Forwarded", `proto=https`, "2001:db8::1"},
		{"192.0.2.9:1", "X-Forwarded-For", "192.0.2.1", "192.0.2.9"}, // no proxy of ours
		{"192.0.2.9:1", "Forwarded", "for=192.0.2.1", "192.0.2.9"},
		{"@", "X-Forwarded-For", "192.0.2.1", "@"}, // a socket that has no address
		// A line for each line of the header. The proxy adds its part to a line, or a line.
		{"10.1.1.1:1", "X-Forwarded-For", "198.51.100.1\n192.0.2.1", "192.0.2.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "198.51.100.1;x=\"\n192.0.2.1", "192.0.2.1"},
		{"10.1.1.1:1", "X-Forwarded-For", "", "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", "for=198.51.100.1;x=\"\nfor=192.0.2.1", "192.0.2.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1;x=", for=192.0.2.1`, "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1;x=", for="[2001:db9::1]:4711"`, "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1;x=", for=192.0.2.1;proto="https"`, "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1;x="\, for=192.0.2.1`, "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1;x="a\", for=1.1.1.1", for=192.0.2.1`, "192.0.2.1"},
		{"10.1.1.1:1", "Forwarded", `for=198.51.100.1 x, for=192.0.2.1`, "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", "for=192.0.2.1,", "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", "", "10.1.1.1"},
		{"10.1.1.1:1", "Forwarded", "for=192.0.2.1 ; proto=https ;by=10.1.1.1", "192.0.2.1"},
		{"10.1.1.1:1", "Forwarded", `for="[2001:db9::1]", for=10.2.2.2`, "2001:db9::1"},
		{"10.1.1.1:1", "Forwarded", "for=192.0.2.1:4711", "192.0.2.1"}, // which some proxies write
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
		r.RemoteAddr = test.from
		for line := range strings.SplitSeq(test.value, "\n") {
			if test.header != "" {
				r.Header.Add(test.header, line)
			}
		}
		other := server.XForwardedFor // which the caller writes itself
		if test.header != server.Forwarded {
			other = server.Forwarded
		}
		r.Header.Set(other, map[bool]string{true: "for=9.9.9.9", false: "9.9.9.9"}[other == server.Forwarded])
		handlers[test.header].ServeHTTP(httptest.NewRecorder(), r)
		if line := a.log.take(); !strings.Contains(line, `"remote":"`+test.want+`"`) {
			t.Errorf("from %s, %s: %s: want %s: %s", test.from, test.header, test.value, test.want, line)
		}
	}
}

// The official clients put two slashes where their host ends with one.
func TestPathsBeginWithManySlashes(t *testing.T) {
	a, secret := newFilledAPI(t)
	for _, slashes := range []string{"/", "//", "///"} {
		for _, path := range []string{runPath(t, exampleKey), strings.Replace(runPath(t, exampleKey), "-", "%2D", 1)} {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+slashes+strings.TrimPrefix(path, "/"), nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			w := httptest.NewRecorder()
			a.handler.ServeHTTP(w, r)
			if w.Code != 200 {
				t.Errorf("%s: the status is %d: %s", r.URL, w.Code, w.Body)
			}
		}
	}
}
