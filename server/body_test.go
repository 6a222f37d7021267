package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestConnectionIsClosedAfterABody(t *testing.T) {
	a, secret := newFilledAPI(t)
	for name, test := range map[string]struct {
		path   string
		coding []string
		length int64
		want   string
	}{
		"no body":                {"/v1/login", nil, 0, ""},
		"a length":               {"/v1/login", nil, 1, "close"},
		"chunks":                 {"/v1/login", []string{"chunked"}, -1, "close"},
		"a length, and no route": {"/nothing", nil, 1, "close"},
	} {
		r := httptest.NewRequest("GET", test.path, strings.NewReader("x"))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.ContentLength, r.TransferEncoding = test.length, test.coding
		if got := a.send(r).header.Get("Connection"); got != test.want {
			t.Errorf("%s: Connection is %q, want %q", name, got, test.want)
		}
	}
}
