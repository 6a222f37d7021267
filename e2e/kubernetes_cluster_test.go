//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/jobruns/jobruns/gen/model"
)

// confined returns the cluster as a service account sees it that may list and watch Jobs in the
// namespace, and nothing else.
func (c *cluster) confined(t testing.TB, namespace string) *cluster {
	t.Helper()
	accounts := "/api/v1/namespaces/" + namespace + "/serviceaccounts"
	account := map[string]any{"metadata": map[string]any{"name": "watcher"}}
	c.must(t, "POST", accounts, account, nil)
	c.permit(t, namespace, namespace)
	var request authenticationv1.TokenRequest
	c.must(t, "POST", accounts+"/watcher/token", request, &request)
	return c.changed(t, func(_ *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) {
		*user = clientcmdapi.AuthInfo{Token: request.Status.Token}
	})
}

// permit lets the account list and watch Jobs in another namespace than its own, too.
func (c *cluster) permit(t testing.TB, accountOf, namespace string) {
	t.Helper()
	path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace
	c.must(t, "POST", path+"/roles", map[string]any{
		"metadata": map[string]any{"name": "watcher"},
		"rules": []any{map[string]any{
			"apiGroups": []string{"batch"}, "resources": []string{"jobs"}, "verbs": []string{"list", "watch"}}},
	}, nil)
	c.must(t, "POST", path+"/rolebindings", map[string]any{
		"metadata": map[string]any{"name": "watcher"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "watcher", "namespace": accountOf}},
	}, nil)
}

// TestKubernetesOtherAddress restarts the watcher, which then reaches the API server by another
// address, or may read another identity of the cluster, after a Job has been deleted.
func TestKubernetesOtherAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ confinedBefore, confinedAfter, moved bool }{
		"another address":                      {false, false, true},
		"another address, without its uid":     {true, true, true},
		"its uid may be read from now on":      {true, false, false},
		"another address, and the uid now too": {true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			namespace, a := c.namespace(t), newAPI(t, newStore(t))
			before, after := c, c
			confined := c.confined(t, namespace)
			if test.confinedBefore {
				before = confined
			}
			if test.confinedAfter {
				after = confined
			}
			if test.moved {
				after = after.over(t, newCable(t, c.address(t)))
			}
			r := &recording{c, a, namespace, before.watch(t, a.store, "--namespace", namespace)}
			held := batchv1.JobSpec{Template: pods(0, true)}
			deleted, lasting := r.start(t, held), r.start(t, held)
			r.reads(t, refOf(deleted), isActive)
			r.reads(t, refOf(lasting), isActive)
			r.watcher.stop(syscall.SIGTERM)
			r.must(t, "DELETE", pathOf(deleted)+"?propagationPolicy=Background", nil, nil)
			until(t, func() bool { return r.gone(t, pathOf(deleted)) })

			r.watcher = after.watch(t, a.store, "--namespace", namespace)
			if run := r.reads(t, refOf(deleted), isConcluded); run.Status != model.JobRunStatusFailed {
				t.Errorf("the run of the Job that is gone: %+v", *run)
			}
			r.release(t, lasting, 1)
			r.wantRun(
				t,
				lasting,
				refOf(lasting),
				model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess},
			)
		})
	}
}

// TestKubernetesSelectorStopsMatching relabels Jobs while they run, one of them while nobody
// watches.
func TestKubernetesSelectorStopsMatching(t *testing.T) {
	t.Parallel()
	r := newRecording(t, "--selector", "record=yes")
	start := func() *batchv1.Job {
		return r.create(t, r.namespace, batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"record": "yes"}},
			Spec:       batchv1.JobSpec{Template: pods(0, true)},
		})
	}
	relabel := func(job *batchv1.Job) {
		r.must(t, "PATCH", pathOf(job),
			map[string]any{"metadata": map[string]any{"labels": map[string]string{"record": "no"}}}, nil)
	}
	watched, unwatched, deleted := start(), start(), start()
	for _, job := range []*batchv1.Job{watched, unwatched, deleted} {
		r.reads(t, refOf(job), isActive)
	}
	relabel(watched)
	relabel(deleted)
	r.watcher.says(t, "looking for it until it ends", string(watched.UID))
	r.watcher.says(t, "looking for it until it ends", string(deleted.UID))
	r.release(t, watched, 1)
	r.must(t, "DELETE", pathOf(deleted)+"?propagationPolicy=Background", nil, nil)
	want := model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess}
	r.wantRun(t, watched, refOf(watched), want)
	if run := r.reads(t, refOf(deleted), isConcluded); run.Status != model.JobRunStatusFailed {
		t.Errorf("the run of the Job that is gone: %+v", *run)
	}

	r.watcher.stop(syscall.SIGKILL)
	relabel(unwatched)
	r.watch(t, r.store, "--namespace", r.namespace, "--selector", "record=yes").
		says(t, "looking for it until it ends", string(unwatched.UID))
	r.release(t, unwatched, 1)
	r.wantRun(t, unwatched, refOf(unwatched), want)
}

// TestKubernetesForbiddenNamespace watches two namespaces, of which one may be read only later.
func TestKubernetesForbiddenNamespace(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	namespace, other, a := c.namespace(t), c.namespace(t), newAPI(t, newStore(t))
	watcher := c.confined(t, namespace).watch(t, a.store, "--namespace", namespace, "--namespace", other)
	r := &recording{c, a, namespace, watcher}
	job := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
	later := r.create(t, other, batchv1.Job{Spec: batchv1.JobSpec{Template: pods(0, false)}})
	watcher.says(t, "permission missing", " on jobs.batch in namespace "+other)
	want := model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess}
	r.wantRun(t, job, refOf(job), want)
	until(t, func() bool {
		status, _ := watcher.admin(t, "/readyz")
		return status == http.StatusOK
	})
	c.permit(t, namespace, other)
	watcher.says(t, `"msg":"synced"`, other)
	r.wantRun(t, later, refOf(later), want)
	if n := strings.Count(watcher.text(), "permission missing"); n != 1 {
		t.Errorf("it says %d times that the permission is missing", n)
	}
}

// TestKubernetesCredentialsPlugin has the plugin of the kubeconfig fail, and then print the token.
func TestKubernetesCredentialsPlugin(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	folder := t.TempDir()
	plugin, credential := filepath.Join(folder, "plugin"), filepath.Join(folder, "credential")
	if err := os.WriteFile(plugin, []byte("#!/bin/sh\nexec cat "+credential+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var token string
	withPlugin := c.changed(t, func(_ *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) {
		if token = user.Token; token == "" {
			if os.Getenv("CI") == "true" {
				t.Fatal("no token in KUBECONFIG")
			}
			t.Skip("the user of KUBECONFIG has no token that a plugin could print")
		}
		*user = clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion:      "client.authentication.k8s.io/v1",
			Command:         plugin,
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		}}
	})
	namespace, a := c.namespace(t), newAPI(t, newStore(t))
	r := &recording{c, a, namespace, withPlugin.watch(t, a.store, "--namespace", namespace)}
	r.watcher.says(t, "no credentials for the API server", "failed with exit code 1", "run it as this user")
	text := fmt.Sprintf(
		`{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": %q}}`,
		token,
	)
	if err := os.WriteFile(credential, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	job := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
	r.wantRun(t, job, refOf(job), model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess})
	if text := r.watcher.text(); strings.Contains(text, "API server away") {
		t.Errorf("it says that the API server is away:\n%s", text)
	}
}
