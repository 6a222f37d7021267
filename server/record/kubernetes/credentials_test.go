package kubernetes

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

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

func TestWatcherLogsWhyItHasNoCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		user, want string
		mend       func(*fakeAPI) // nil if nothing can
	}{
		"plugin not installed": {
			`{"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never"}}`,
			"executable no-such-plugin not found", nil,
		},
		"token refused": {
			`{"token": "bad"}`, `msg="credentials refused by the API server, trying again" error=Unauthorized`,
			func(api *fakeAPI) { api.change(func() { api.token = "bad" }) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.token = "good"
			w := startWith(t, kubeconfig(t, api, test.user), api, newFakeStore(), Options{})
			w.journal.await(test.want)
			if test.mend != nil {
				test.mend(api)
				w.journal.await(`msg="API server back"`)
				w.journal.await("msg=synced")
			}
			w.stop()
			if w.journal.count("level=ERROR") != 1 {
				t.Error("the log has the error more than once")
			}
		})
	}
}

func TestNewRefusesARemovedAuthProvider(t *testing.T) {
	api := newFakeAPI(t)
	_, log := newJournal()
	_, err := New(kubeconfig(t, api, `{"auth-provider": {"name": "gcp"}}`), newFakeStore(), Options{}, log, nil)
	if err == nil || !strings.Contains(err.Error(), "gke-gcloud-auth-plugin") {
		t.Errorf("%v, want an error that says what to use instead", err)
	}
}
