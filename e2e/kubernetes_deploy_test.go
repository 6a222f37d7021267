//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/jobruns/jobruns/gen/model"
)

// deployed is the namespace that the manifests name.
const deployed = "/api/v1/namespaces/jobruns"

// render returns the objects of a folder of manifests.
func render(t testing.TB, folder string) []*unstructured.Unstructured {
	t.Helper()
	kustomize := exec.Command("go", "run", "sigs.k8s.io/kustomize/kustomize/v5@v5.8.2", "build", folder)
	var stderr strings.Builder
	kustomize.Stderr = &stderr
	out, err := kustomize.Output()
	if err != nil {
		t.Fatalf("kustomize build: %v\n%s", err, stderr.String())
	}
	var objects []*unstructured.Unstructured
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096); ; {
		object := new(unstructured.Unstructured)
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
}

// pathTo is where the API server has an object.
func pathTo(t testing.TB, object *unstructured.Unstructured) string {
	t.Helper()
	collections := map[string]string{
		"Namespace":          "namespaces",
		"ServiceAccount":     "serviceaccounts",
		"Service":            "services",
		"Deployment":         "deployments",
		"ClusterRole":        "clusterroles",
		"ClusterRoleBinding": "clusterrolebindings",
		"Role":               "roles",
		"RoleBinding":        "rolebindings",
	}
	collection := collections[object.GetKind()]
	if collection == "" {
		t.Fatalf("a %s among the manifests: the test does not know its path", object.GetKind())
	}
	path := "/apis/" + object.GetAPIVersion()
	if !strings.Contains(object.GetAPIVersion(), "/") {
		path = "/api/" + object.GetAPIVersion()
	}
	if object.GetNamespace() != "" {
		path += "/namespaces/" + object.GetNamespace()
	}
	return path + "/" + collection + "/" + object.GetName()
}

// deploy applies the manifests as kubectl apply --server-side -k does, for the time of the test.
func (c *cluster) deploy(t testing.TB, folder string) {
	t.Helper()
	if !c.gone(t, deployed) {
		t.Fatal("the cluster has a namespace jobruns already, which this test would take away in the end")
	}
	t.Cleanup(func() {
		c.delete(t, deployed)
		until(t, func() bool { return c.gone(t, deployed) })
	})
	for _, object := range render(t, folder) {
		path := pathTo(t, object)
		if path != deployed {
			t.Cleanup(func() { c.delete(t, path) })
		}
		c.must(t, "PATCH", path+"?fieldManager=e2e&fieldValidation=Strict", object, nil)
	}
	secret := map[string]any{
		"metadata":   map[string]any{"name": "jobruns-store"},
		"stringData": map[string]any{"url": "postgres://localhost/jobruns"},
	}
	c.must(t, "POST", deployed+"/secrets", secret, nil)
}

// deployment waits until all pods of a Deployment have been let into the namespace, and returns it.
func (c *cluster) deployment(t testing.TB, name string) *appsv1.Deployment {
	t.Helper()
	var d *appsv1.Deployment
	until(t, func() bool {
		d = new(appsv1.Deployment)
		c.must(t, "GET", "/apis/apps/v1/namespaces/jobruns/deployments/"+name, nil, d)
		for _, condition := range d.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure {
				t.Fatalf("the pods of %s: %s", name, condition.Message)
			}
		}
		return d.Status.Replicas == *d.Spec.Replicas
	})
	return d
}

// as returns the cluster as a service account among the manifests' sees it.
func (c *cluster) as(t testing.TB, serviceAccount string) *cluster {
	t.Helper()
	var request authenticationv1.TokenRequest
	c.must(t, "POST", deployed+"/serviceaccounts/"+serviceAccount+"/token", request, &request)
	return c.changed(t, func(_ *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) {
		*user = clientcmdapi.AuthInfo{Token: request.Status.Token}
	})
}

// rules returns what the caller may do in the namespace.
func (c *cluster) rules(t testing.TB, namespace string) []string {
	t.Helper()
	review := authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}
	c.must(t, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, &review)
	if review.Status.Incomplete {
		t.Errorf("not all rules are known: %s", review.Status.EvaluationError)
	}
	var rules []string
	for _, rule := range review.Status.ResourceRules {
		text, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, string(text))
	}
	slices.Sort(rules)
	return rules
}

// may says whether the caller may do something with a resource, in all namespaces or one.
func (c *cluster) may(t testing.TB, verb, group, resource, namespace string) bool {
	t.Helper()
	review := authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Namespace: namespace}},
	}
	c.must(t, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &review)
	return review.Status.Allowed
}

// wantPermissions checks that the caller may list and watch Jobs in the namespaces ("" for all,
// which comes with the permission to know the cluster), and nothing else but what the cluster lets
// any service account do.
func (c *cluster) wantPermissions(t testing.TB, anybody *cluster, namespaces map[string]bool) {
	t.Helper()
	for namespace, allowed := range namespaces {
		for _, verb := range []string{"list", "watch", "get", "create", "update", "patch", "delete", "deletecollection"} {
			for resource, group := range map[string]string{"jobs": "batch", "jobs/status": "batch", "cronjobs": "batch", "pods": "", "pods/log": "", "secrets": "",
				"configmaps": "", "namespaces": "", "nodes": "", "serviceaccounts/token": "", "deployments": "apps", "clusterroles": "rbac.authorization.k8s.io"} {
				want := allowed && resource == "jobs" && (verb == "list" || verb == "watch")
				if got := c.may(t, verb, group, resource, namespace); got != want {
					t.Errorf("may %s %s in namespace %q: %t, want %t", verb, resource, namespace, got, want)
				}
			}
		}
		if namespace == "" {
			continue
		}
		want := anybody.rules(t, namespace)
		if allowed {
			want = append(want, `{"verbs":["list","watch"],"apiGroups":["batch"],"resources":["jobs"]}`)
		}
		if namespaces[""] {
			want = append(want,
				`{"verbs":["get"],"apiGroups":[""],"resources":["namespaces"],"resourceNames":["kube-system"]}`)
		}
		slices.Sort(want)
		if got := c.rules(t, namespace); !slices.Equal(got, want) {
			t.Errorf("in namespace %s the rules are %s, want %s", namespace, got, want)
		}
		for _, path := range []string{"/apis/batch/v1/namespaces/" + namespace + "/jobs/x", "/api/v1/namespaces/" + namespace + "/secrets"} {
			if err := c.call(t.Context(), "GET", path, nil, nil); !apierrors.IsForbidden(err) {
				t.Errorf("GET %s: %v, want it forbidden", path, err)
			}
		}
	}
}

// argsOf returns the arguments of a container, except those with ports, which may be in use on the
// machine that runs the tests.
func argsOf(d *appsv1.Deployment) (args []string) {
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if flag, _, found := strings.Cut(arg, "=0.0.0.0:"); found {
			arg = flag + "=127.0.0.1:0"
		}
		args = append(args, arg)
	}
	return args
}

// wantProbes asks the process what the kubelet would ask it, until all answers are as they should
// be.
func wantProbes(t testing.TB, d *appsv1.Deployment, process *daemon) {
	t.Helper()
	container := d.Spec.Template.Spec.Containers[0]
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		until(t, func() bool {
			status, _ := process.admin(t, probe.HTTPGet.Path)
			return status == http.StatusOK
		})
	}
}

// TestKubernetesDeployed is a sequence, as both variants have the same namespace.
func TestKubernetesDeployed(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	inside, outside := c.namespace(t), c.namespace(t)
	manifests := t.TempDir()
	if err := os.CopyFS(manifests, os.DirFS("../server/record/kubernetes/deploy")); err != nil {
		t.Fatal(err)
	}
	role := filepath.Join(manifests, "namespaced", "role.yaml")
	text, err := os.ReadFile(role)
	if err != nil {
		t.Fatal(err)
	}
	named := bytes.Replace(text, []byte("  namespace: default #"), []byte("  namespace: "+inside+" #"), 1)
	if err := os.WriteFile(role, named, 0o644); err != nil {
		t.Fatal(err)
	}
	for variant, test := range map[string]struct {
		may map[string]bool
		all bool
	}{
		".":          {map[string]bool{"": true, inside: true, outside: true, "jobruns": true}, true},
		"namespaced": {map[string]bool{"": false, inside: true, outside: false, "jobruns": false}, false},
	} {
		t.Run(variant, func(t *testing.T) {
			c.deploy(t, filepath.Join(manifests, variant))
			serving, watching := c.deployment(t, "serve"), c.deployment(t, "watch")
			c.must(t, "POST", deployed+"/serviceaccounts",
				map[string]any{"metadata": map[string]any{"name": "anybody"}}, nil)
			restricted := c.as(t, "watch")
			restricted.wantPermissions(t, c.as(t, "anybody"), test.may)

			a := newAPI(t, newStore(t))
			wantProbes(t, serving, startDaemon(t, a.store, argsOf(serving)...))
			args := append(argsOf(watching), "--kubeconfig", restricted.file(t))
			r := &recording{c, a, inside, startDaemon(t, a.store, args...)}
			wantProbes(t, watching, r.watcher)
			beyond := c.create(t, outside, batchv1.Job{Spec: batchv1.JobSpec{Template: pods(0, false)}})
			c.concluded(t, beyond)
			job := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
			want := model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess}
			r.wantRun(t, job, refOf(job), want)
			if test.all {
				r.wantRun(t, beyond, refOf(beyond), want)
				return
			}
			if run := r.get(t, refOf(beyond)); run != nil {
				t.Errorf("recorded %+v", *run)
			}
			// One that is started for more says what it lacks.
			restricted.watch(t, newStore(t)).says(t, "permission missing", " on jobs.batch in all namespaces")
			restricted.watch(t, newStore(t), "--namespace",
				outside).says(t, "permission missing", " on jobs.batch in namespace "+outside)
		})
	}
}
