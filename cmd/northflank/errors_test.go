package main

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
)

func TestUserErrorAdvisesWhatToDo(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(secure.Certificate())
	for name, tt := range map[string]struct {
		host  string
		roots *x509.CertPool
		want  string
	}{
		"plain HTTP":     {strings.TrimPrefix(plain.URL, "http://"), nil, ": if it speaks plain HTTP, give " + plain.URL + " in --host"},
		"another name":   {strings.ReplaceAll(secure.URL, "127.0.0.1", "localhost"), trusted, ": in --host, name the server as its certificate does"},
		"unknown":        {secure.URL, x509.NewCertPool(), ": if its authority is not one that the system knows, give --ca-cert"},
		"nobody there":   {"http://127.0.0.1:1", nil, ": check that the server runs, and the host and the port in --host"},
		"no such port":   {"http://127.0.0.1:99999", nil, ": invalid port: check the host and the port in --host"},
		"HTTPS in clear": {strings.ReplaceAll(secure.URL, "https:", "http:"), nil, ": give " + secure.URL + " in --host"},
		"a proxy":        {plain.URL, nil, ": set HTTPS_PROXY, or HTTP_PROXY, to http://USER:PASSWORD@HOST:PORT"},
		"no answer":      {silent.URL, nil, ": timed out waiting for " + silent.URL + ": check that it can be reached"},
	} {
		conn := connection{host: normalizeHost(tt.host), hostFrom: "--host", token: "token", tokenFrom: "--token"}
		options := []client.Option{client.WithMaxRetries(0)}
		if tt.roots != nil {
			options = append(options, client.WithRootCAs(tt.roots))
		}
		c, err := conn.client(options...)
		if err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if tt.host == silent.URL {
			limit = 100 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		resp, err := c.Login(ctx)
		cancel()
		if tt.host == silent.URL {
			r := request{conn: conn, ref: client.RunRef{Project: "p", Job: "j"}}
			want := `waiting for job "j" in project "p": Get `
			if got := r.userError(err, resp).Error(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s, want it to begin with %s", name, got, want)
			}
		}
		if got := conn.userError(err, resp).Error(); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: %s, want it to end with %s", name, got, tt.want)
		}
	}
}
