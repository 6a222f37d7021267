package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // what "auth-provider" in a kubeconfig may name, as for kubectl
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// How fast lists may follow each other, in requests a second. A watch does not count.
const (
	requestRate  = 50
	requestBurst = 100
)

// ErrNoConfig means that nothing says where a cluster is.
var ErrNoConfig = errors.New("there is no kubeconfig, and this is no pod of a cluster")

// LoadConfig returns how to reach the cluster that the kubeconfig file names. With "" it is the one
// that kubectl would take: of the files in $KUBECONFIG, or of ~/.kube/config, or else the cluster
// that this process is a pod of. Returns ErrNoConfig if there is none of these, or an error that
// names the file if it cannot be read or parsed.
func LoadConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false // the error says so
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	switch {
	case err == nil:
		return config, nil
	case clientcmd.IsEmptyConfig(err) && kubeconfig == "":
		return nil, ErrNoConfig
	case clientcmd.IsEmptyConfig(err):
		return nil, fmt.Errorf("%s names no cluster", kubeconfig)
	case kubeconfig == "" || strings.Contains(err.Error(), kubeconfig):
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", kubeconfig, err)
}

// newClient returns a client that knows nothing but Jobs. The typed clients of client-go would
// register every kind that Kubernetes has when the program starts, whichever command it is to run.
func newClient(config *rest.Config) (rest.Interface, error) {
	scheme := k8sruntime.NewScheme()
	if err := batchv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // what errors are made of
	config = rest.CopyConfig(config)
	config.GroupVersion = &batchv1.SchemeGroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = k8sruntime.ContentTypeProtobuf
	config.AcceptContentTypes = k8sruntime.ContentTypeProtobuf + "," + k8sruntime.ContentTypeJSON
	config.UserAgent = userAgent()
	config.QPS, config.Burst = requestRate, requestBurst
	config.Wrap(markErrors)
	return rest.RESTClientFor(config)
}

// sendError is what a request failed at that had its credentials: the network, or TLS.
type sendError struct{ error }

func (e sendError) Unwrap() error { return e.error }

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// markErrors makes the transport's errors a [sendError]. What adds credentials to a request lies
// around it, so that the errors of that are none.
func markErrors(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(req)
		if err != nil {
			err = sendError{err}
		}
		return response, err
	})
}

// lacksCredentials reports whether a request was not sent because there were no credentials for it.
func lacksCredentials(err error) bool {
	var failed *url.Error
	var sent sendError
	return errors.As(err, &failed) && !errors.As(err, &sent)
}

// credentialsAdvice says what to do where there are no credentials, or the API server refuses them.
func credentialsAdvice(config *rest.Config) string {
	switch {
	case config.ExecProvider != nil:
		return fmt.Sprintf("the kubeconfig has the program %q print credentials: run it as this user, "+
			"and see that it is found, asks nothing and succeeds", config.ExecProvider.Command)
	case config.AuthProvider != nil:
		return fmt.Sprintf("log in again, or replace auth-provider %q in the kubeconfig by a program that prints "+
			"credentials (exec), such as kubelogin", config.AuthProvider.Name)
	}
	return "check the token or the certificate of the kubeconfig's user, or of the pod's service account"
}

func userAgent() string {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return fmt.Sprintf("jobruns/%s (%s/%s)", version, runtime.GOOS, runtime.GOARCH)
}
