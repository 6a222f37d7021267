package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

const tooManyGuesses = "the token is not valid, and too many such have come from this address"

// from sends a GET from an address, with the secret of a token, or with none. It says whether a
// token was looked up.
func (a *api) from(address, secret string) (got answer, looked bool) {
	a.Helper()
	a.store.onToken = func() error { looked = true; return nil }
	r := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
	r.RemoteAddr = address
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return a.send(r), looked
}

const (
	here  = "192.0.2.1:1234"
	there = "192.0.2.2:1234"
)

// guess sends tokens that nobody has, and wants them to be looked up.
func (a *api) guess(address string, times int) {
	a.Helper()
	for range times {
		secret, _ := jobrun.NewSecret()
		if got, looked := a.from(address, secret); got.status != 401 || !looked {
			a.Fatalf("status %d, looked up: %t", got.status, looked)
		}
	}
}

// wantSlowedDown checks that a token that is not valid makes the caller wait.
func (a *api) wantSlowedDown(address, secret, after string) {
	a.Helper()
	got, _ := a.from(address, secret)
	wantLater(a, got, after, tooManyGuesses)
	wantLimit(a, got)
}

// wantIn checks that the token is accepted from the address.
func (a *api) wantIn(address, secret string) {
	a.Helper()
	got, _ := a.from(address, secret)
	a.want(got, 200)
}

func TestGuesses(t *testing.T) {
	for _, limit := range []string{"0", "1000/1h"} {
		t.Run(limit, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := newLimitedAPI(t, limit)
				unknown, _ := jobrun.NewSecret()
				a.guess(here, 1)
				time.Sleep(20 * time.Second)
				a.guess(here, 59)
				a.wantSlowedDown(here, unknown, "40")
				a.guess(there, 60)
				time.Sleep(40*time.Second - 1)
				a.wantSlowedDown(here, unknown, "1")
				time.Sleep(time.Nanosecond)
				a.guess(here, 60)
				a.wantSlowedDown(here, unknown, "60")
			})
		})
	}
}

// Nobody is locked out by others' wrong tokens: behind a proxy, all have one address.
func TestGuessesDoNotLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newFilledAPI(t)
		a.guess(here, 60)
		unknown, _ := jobrun.NewSecret()
		for range 100 {
			a.wantSlowedDown(here, unknown, "60")
			a.wantIn(here, secret)
		}
	})
}

// A token that was accepted and is no longer is as good as any other that is not valid.
func TestGuessesWithFormerTokens(t *testing.T) {
	for name, end := range map[string]func(*api, jobrun.TokenHash){
		"revoked": func(a *api, hash jobrun.TokenHash) { delete(a.store.tokens, hash) },
		"expired": func(*api, jobrun.TokenHash) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				secret, hash := jobrun.NewSecret()
				token := allowed()
				token.ExpiresAt = new(time.Now().Add(time.Hour))
				a.store.tokens[hash] = token
				a.wantIn(here, secret)
				end(a, hash)
				for range 60 {
					got, _ := a.from(here, secret)
					wantChallenge(t, got)
				}
				a.wantSlowedDown(here, secret, "60")
			})
		})
	}
}

// What was no guess is answered as ever, and not counted.
func TestNoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, secret := newFilledAPI(t)
		for range 100 {
			got, looked := a.from(here, "")
			wantChallenge(t, got)
			if looked {
				t.Error("a token was looked up")
			}
		}
		a.store.onToken = func() error { return jobrun.ErrUnavailable }
		for range 100 {
			r := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			r.RemoteAddr = here
			a.want(a.send(r), 503)
		}
		a.guess(here, 60)
		got, _ := a.from(here, "")
		wantChallenge(t, got)
	})
}

func TestGuessesByAddress(t *testing.T) {
	for name, test := range map[string]struct {
		address, other string
		same           bool
	}{
		"another port":            {"192.0.2.1:1", "192.0.2.1:2", true},
		"another address":         {"192.0.2.1:1", "192.0.2.2:1", false},
		"IPv4 in IPv6":            {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		"another IPv4 in IPv6":    {"[::ffff:192.0.2.2]:1", "[::ffff:192.0.2.1]:1", false},
		"another of the 64 bits":  {"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:1", true},
		"another 64 bits":         {"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		"another zone":            {"[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		"loopback":                {"127.0.0.1:1", "[::1]:1", false},
		"no IP":                   {"@", "", true},
		"no IP, and one that has": {"@", "192.0.2.1:1", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				a.guess(test.address, 60)
				if unknown, _ := jobrun.NewSecret(); test.same {
					a.wantSlowedDown(test.other, unknown, "60")
				} else {
					a.guess(test.other, 1)
				}
			})
		})
	}
}

// A caller can write any address into these headers.
func TestGuessesByAddressOfTheConnection(t *testing.T) {
	a := newAPI(t)
	a.guess(here, 60)
	for _, header := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
		r := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
		r.RemoteAddr = here
		r.Header.Set("Authorization", "Bearer unknown")
		r.Header.Set(header, "198.51.100.1")
		a.want(a.send(r), 429)
	}
}

// A caller behind a proxy evades the limit neither with the header that the proxy does not write,
// nor with a quotation that hides the proxy's part.
func TestGuessesBehindAProxyCountForTheCaller(t *testing.T) {
	for header, value := range map[string]string{
		server.Forwarded:     `for=9.9.9.9;x=", for=192.0.2.1`,
		server.XForwardedFor: `9.9.9.9, 192.0.2.1`,
	} {
		a := newAPI(t)
		var err error
		a.handler, err = server.New(a.store, a.logger, server.Options{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, TrustedHeader: header,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			r := httptest.NewRequest(http.MethodGet, "/v1/login", nil)
			r.RemoteAddr = "10.1.1.1:1"
			r.Header.Set(server.XForwardedFor, fmt.Sprint("9.9.9.", i))
			r.Header.Set(server.Forwarded, fmt.Sprint("for=9.9.9.", i))
			r.Header.Set(header, strings.ReplaceAll(value, "9.9.9.9", fmt.Sprint("9.9.9.", i)))
			r.Header.Set("Authorization", "Bearer unknown")
			recorder := httptest.NewRecorder()
			a.handler.ServeHTTP(recorder, r)
			if want := map[bool]int{true: 401, false: 429}[i < 60]; recorder.Code != want {
				t.Fatalf("%s, guess %d: the status is %d, want %d", header, i+1, recorder.Code, want)
			}
		}
	}
}
