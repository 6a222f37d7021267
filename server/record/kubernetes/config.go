package kubernetes

import (
	"errors"
	"fmt"
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
	return rest.RESTClientFor(config)
}

func userAgent() string {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return fmt.Sprintf("jobruns/%s (%s/%s)", version, runtime.GOOS, runtime.GOARCH)
}
