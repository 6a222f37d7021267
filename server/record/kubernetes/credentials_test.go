package kubernetes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// kubeconfig returns what a kubeconfig file says of the server, with these credentials. It is
// reached by TLS, for no credentials are sent without.
func kubeconfig(t *testing.T, api *fakeAPI, user string) *rest.Config {
	t.Helper()
	server := httptest.NewTLSServer(api)
	t.Cleanup(func() {
		api.change(func() { api.away = true; api.cut++ })
		server.Close()
	})
	file := t.TempDir() + "/kubeconfig"
	writeFile(
		t,
		file,
		fmt.Sprintf(`{"clusters": [{"name": "c", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
		"users": [{"name": "u", "user": %s}], "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
		"current-context": "x"}`, server.URL, user),
	)
	config, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// execUser returns the credentials that a program prints.
func execUser(program string) string {
	return fmt.Sprintf(`{"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q,
		"interactiveMode": "Never"}}`, program)
}

// idToken returns a token of OpenID Connect that is valid for as long, without a signature that
// anyone checks.
func idToken(valid time.Duration) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"exp": %d}`, time.Now().Add(valid).Unix())
	return part([]byte(`{"alg": "none"}`)) + "." + part([]byte(claims)) + "."
}

// TestWatcherSaysThatCredentialsAreMissing also has the watcher go on by itself once they are
// there.
func TestWatcherSaysThatCredentialsAreMissing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	credential := folder + "/credential" // what the plugin prints
	writeFile(t, folder+"/plugin", "#!/bin/sh\nexec cat "+credential+"\n")
	if err := os.Chmod(folder+"/plugin", 0o700); err != nil {
		t.Fatal(err)
	}
	const none, refused = `level=ERROR msg="no credentials for the API server, trying again"`,
		`level=ERROR msg="credentials refused by the API server, trying again"`
	for name, test := range map[string]struct {
		user string
		want []string
		mend func(*fakeAPI) // nil if nothing can
	}{
		"plugin not installed": {
			execUser("no-such-plugin"),
			[]string{none, "executable no-such-plugin not found", `the program \"no-such-plugin\" print credentials`},
			nil,
		},
		"plugin fails": {
			execUser(folder + "/plugin"),
			[]string{none, "failed with exit code 1", "run it as this user"},
			func(*fakeAPI) {
				writeFile(t, credential, `{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
					"status": {"token": "good"}}`)
			},
		},
		"id token has expired": {
			fmt.Sprintf(`{"auth-provider": {"name": "oidc", "config": {"client-id": "c",
				"idp-issuer-url": "https://127.0.0.1:1", "id-token": %q}}}`, idToken(-time.Hour)),
			[]string{none, "No valid id-token", "log in again, or replace auth-provider"},
			nil,
		},
		"token refused": {
			`{"token": "bad"}`,
			[]string{refused, "Unauthorized", "check the token"},
			func(api *fakeAPI) { api.change(func() { api.token = "bad" }) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.token = "good"
			w := startWith(t, kubeconfig(t, api, test.user), api, newFakeStore(), Options{})
			for _, want := range test.want {
				w.journal.await(want)
			}
			if test.mend != nil {
				test.mend(api)
				w.journal.await(`msg="API server back"`)
				w.journal.await("msg=synced")
			}
			w.stop()
			if w.journal.count("away") > 0 || w.journal.count("level=ERROR") != 1 {
				t.Error("the log says that the API server is away, or says its error more than once")
			}
		})
	}
}

// A plugin that prints credentials may hang. The watcher ends all the same.
func TestRequestWithoutResponseIsReportedAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		defer close(hangs)
		var reported atomic.Int32
		transport := giveUp(roundTripper(func(*http.Request) (*http.Response, error) {
			<-hangs
			return nil, errors.New("too late")
		}), func() { reported.Add(1) })
		ctx, cancel := context.WithTimeout(t.Context(), slowAfter+time.Second)
		defer cancel()
		_, err := transport.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		if !errors.Is(err, context.DeadlineExceeded) || reported.Load() != 1 {
			t.Errorf("%v, reported %d times", err, reported.Load())
		}
	})
}

func TestWatcherUsesAnIDToken(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	api.token = idToken(time.Hour)
	w := startWith(t, kubeconfig(t, api, fmt.Sprintf(`{"auth-provider": {"name": "oidc", "config": {"client-id": "c",
		"idp-issuer-url": "https://127.0.0.1:1", "id-token": %q}}}`, api.token)), api, newFakeStore(), Options{})
	w.journal.await("msg=synced")
}

func TestNewRefusesARemovedAuthProvider(t *testing.T) {
	api := newFakeAPI(t)
	_, log := newJournal()
	_, err := New(kubeconfig(t, api, `{"auth-provider": {"name": "gcp"}}`), newFakeStore(), Options{}, log, nil)
	if err == nil || !strings.Contains(err.Error(), "gke-gcloud-auth-plugin") {
		t.Errorf("%v, want an error that says what to use instead", err)
	}
}
