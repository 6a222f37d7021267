package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// forEachOperation runs the test once for every operation of the document.
func forEachOperation(t *testing.T, test func(t *testing.T, o operation)) {
	t.Helper()
	for _, o := range operations(t) {
		t.Run(o.id, func(t *testing.T) { test(t, o) })
	}
}

// forEachSecured runs the test once for every operation of the document that needs a token.
func forEachSecured(t *testing.T, test func(t *testing.T, o operation)) {
	t.Helper()
	forEachOperation(t, func(t *testing.T, o operation) {
		if !o.open {
			test(t, o)
		}
	})
}

// malformedValues are values of the operation's path of which none has the form of an ID.
func malformedValues(o operation) map[string]string {
	values := map[string]string{}
	for _, name := range o.parameters {
		values[name] = "-"
	}
	return values
}

// malformed returns the operation's path with nothing in it that has the form of an ID.
func malformed(o operation) string { return o.path(malformedValues(o)) }

func TestAuthorizationHeader(t *testing.T) {
	tests := []struct {
		name    string
		headers func(secret string) []string
		want    int
	}{
		{"none", func(string) []string { return nil }, 401},
		{"empty", func(string) []string { return []string{""} }, 401},
		{"Basic", func(s string) []string { return []string{"Basic " + s} }, 401},
		{"only the scheme", func(string) []string { return []string{"Bearer"} }, 401},
		{"an empty token", func(string) []string { return []string{"Bearer "} }, 401},
		{"a token of spaces", func(string) []string { return []string{"Bearer    "} }, 401},
		{"no scheme", func(s string) []string { return []string{s} }, 401},
		{"no space", func(s string) []string { return []string{"Bearer" + s} }, 401},
		{"an unknown token", func(string) []string { s, _ := jobrun.NewSecret(); return []string{"Bearer " + s} }, 401},
		{"a part of the token", func(s string) []string { return []string{"Bearer " + s[:len(s)-1]} }, 401},
		{"something after the token", func(s string) []string { return []string{"Bearer " + s + ", x"} }, 401},
		{"the token's hash", func(s string) []string {
			hash := sha256.Sum256([]byte(s))
			return []string{"Bearer " + hex.EncodeToString(hash[:])}
		}, 401},
		{"twice", func(s string) []string { return []string{"Bearer " + s, "Bearer " + s} }, 401},
		{"with another scheme", func(s string) []string { return []string{"Bearer " + s, "Basic x"} }, 401},
		{"right", func(s string) []string { return []string{"Bearer " + s} }, 200},
		{"lower case", func(s string) []string { return []string{"bearer " + s} }, 200},
		{"upper case", func(s string) []string { return []string{"BEARER " + s} }, 200},
		{"more spaces", func(s string) []string { return []string{"Bearer   " + s + " "} }, 200},
	}
	forEachSecured(t, func(t *testing.T, o operation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				a, secret := newFilledAPI(t)
				// Not even a token for "nothing" lets anybody in who sends nothing.
				a.store.tokens[sha256.Sum256(nil)] = allowed()
				headers := test.headers(secret)
				send := func(values map[string]string) answer {
					r := o.request(values)
					r.Header["Authorization"] = headers
					return a.send(r)
				}
				got := send(nil)
				a.want(got, o.expects(test.want))
				if test.want == http.StatusUnauthorized {
					wantChallenge(t, got)
					// Who is not known is told nothing about what is wrong with the rest.
					wantChallenge(t, send(malformedValues(o)))
				}
			})
		}
	})
}

func wantChallenge(t *testing.T, got answer) {
	t.Helper()
	if got.status != http.StatusUnauthorized {
		t.Errorf("the status is %d, want 401: %s", got.status, got.body)
	}
	want := "Bearer"
	if !strings.HasPrefix(got.err.Message, "no token") {
		want = `Bearer error="invalid_token"` // RFC 6750, section 3.1
	}
	if diff := cmp.Diff([]string{want}, got.header.Values("WWW-Authenticate")); diff != "" {
		t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
	}
}

func TestExpiry(t *testing.T) {
	tests := []struct {
		name string
		left time.Duration
		want int
	}{
		{"long ago", -24 * time.Hour, 401},
		{"now", 0, 401},
		{"in a moment", 1, 200},
		{"in a day", 24 * time.Hour, 200},
	}
	forEachSecured(t, func(t *testing.T, o operation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				// In a bubble the clock stands still, so that "now" is now when the server looks,
				// too.
				synctest.Test(t, func(t *testing.T) {
					a, _ := newFilledAPI(t)
					token := allowed()
					expiry := time.Now().Add(test.left)
					token.ExpiresAt = &expiry
					got := a.ask(o, nil, a.token(token))
					a.want(got, o.expects(test.want))
					if test.want == http.StatusUnauthorized {
						wantChallenge(t, got)
					}
				})
			})
		}
	})
}

// The permission is the document's alone: one that is changed there is required from then on.
func TestPermissionOfDocument(t *testing.T) {
	const permission = "Project > Jobs > General > Watch"
	doc, err := freshDocument()
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.Security == nil || len(*op.Security) > 0 {
				op.Extensions = map[string]any{"x-required-permission": permission}
			}
		}
	}
	forEachSecured(t, func(t *testing.T, o operation) {
		a, secret := newFilledAPI(t)
		if a.handler, err = server.NewFrom(doc, a.store, a.logger, server.Options{}); err != nil {
			t.Fatal(err)
		}
		got := a.ask(o, nil, secret)
		a.want(got, 403)
		if got.err.Details.Permission != permission {
			t.Errorf("details name the permission %q, want %q", got.err.Details.Permission, permission)
		}
		token := allowed()
		token.Permissions = []string{permission}
		a.want(a.ask(o, nil, a.token(token)), o.success)
	})
}

func TestPermission(t *testing.T) {
	tests := []struct {
		name        string
		permissions []string
		enough      bool
	}{
		{"none", nil, false},
		{"another", []string{"Project > Jobs > General > Write"}, false},
		{"a part", []string{"Project > Jobs > General"}, false},
		{"another case", []string{"project > jobs > general > read"}, false},
		{"among others", append([]string{"Project > Jobs > General > Write"}, everyPermission()...), true},
	}
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				a, _ := newFilledAPI(t)
				token := allowed()
				token.Permissions = test.permissions
				secret := a.token(token)
				got := a.ask(o, nil, secret)
				if test.enough || o.permission == "" {
					a.want(got, o.success)
					return
				}
				a.want(got, 403)
				if got.err.Details.Permission != o.permission {
					t.Errorf("details name the permission %q, want %q", got.err.Details.Permission, o.permission)
				}
				a.want(a.ask(o, malformedValues(o), secret), 403)
			})
		}
	})
}
