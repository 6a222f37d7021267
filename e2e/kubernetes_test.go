//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// cluster is the Kubernetes cluster that KUBECONFIG names.
type cluster struct {
	kubeconfig *clientcmdapi.Config // of the current context alone, without references to files
	url        string
	client     *http.Client
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	const advice = "set KUBECONFIG to the file of a running cluster, such as ../shared/kube/up DIR starts and writes to DIR/kubeconfig"
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		t.Fatal("there is no cluster to test with: " + advice)
	}
	kubeconfig, err := clientcmd.LoadFromFile(file)
	if err == nil {
		err = clientcmdapi.MinifyConfig(kubeconfig)
	}
	if err == nil {
		err = clientcmdapi.FlattenConfig(kubeconfig)
	}
	if err != nil {
		t.Fatalf("KUBECONFIG: %v: %s", err, advice)
	}
	c := clusterOf(t, kubeconfig)
	if err := c.call(t.Context(), "GET", "/version", nil, nil); err != nil {
		t.Fatalf("the cluster of %s does not answer: %v: %s", file, err, advice)
	}
	return c
}

func clusterOf(t testing.TB, kubeconfig *clientcmdapi.Config) *cluster {
	t.Helper()
	config, err := clientcmd.NewDefaultClientConfig(*kubeconfig, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{kubeconfig, config.Host, client}
}

// changed returns the same cluster reached in another way.
func (c *cluster) changed(t testing.TB, change func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)) *cluster {
	t.Helper()
	kubeconfig := c.kubeconfig.DeepCopy()
	current := kubeconfig.Contexts[kubeconfig.CurrentContext]
	change(kubeconfig.Clusters[current.Cluster], kubeconfig.AuthInfos[current.AuthInfo])
	return clusterOf(t, kubeconfig)
}

// file returns a kubeconfig for another program.
func (c *cluster) file(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*c.kubeconfig, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// call sends a request with a JSON body, unless that is nil, and reads the answer into another
// value, unless that is nil. The error is a [*apierrors.StatusError] for an answer that is not a
// success.
func (c *cluster) call(ctx context.Context, method, path string, in, out any) error {
	contentType := "application/json"
	if method == "PATCH" {
		contentType = "application/merge-patch+json"
		if strings.Contains(path, "fieldManager=") {
			contentType = "application/apply-patch+yaml" // which JSON is, too
		}
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode > 299 {
		status := metav1.Status{Code: int32(response.StatusCode), Message: string(text)}
		_ = json.Unmarshal(text, &status) // or else the text is the message
		return fmt.Errorf("%s %s: %w", method, path, &apierrors.StatusError{ErrStatus: status})
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// must is call where nothing may go wrong.
func (c *cluster) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := c.call(t.Context(), method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

// gone says whether there is nothing at the path any more.
func (c *cluster) gone(t testing.TB, path string) bool {
	t.Helper()
	err := c.call(context.WithoutCancel(t.Context()), "GET", path, nil, nil)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

// delete removes what the test made, at its end.
func (c *cluster) delete(t testing.TB, path string) {
	t.Helper()
	if err := c.call(context.WithoutCancel(t.Context()), "DELETE", path, nil, nil); err != nil &&
		!apierrors.IsNotFound(err) {
		t.Error(err)
	}
}

// namespace makes a namespace for the time of the test.
func (c *cluster) namespace(t testing.TB) string {
	t.Helper()
	namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "jobruns-e2e-"}}
	c.must(t, "POST", "/api/v1/namespaces", namespace, &namespace)
	t.Cleanup(func() { c.delete(t, "/api/v1/namespaces/"+namespace.Name) })
	return namespace.Name
}

// until asks until it is so. What other processes do has no moment that a test could wait for; the
// tests' own deadline is the only limit, less the time to tidy up.
func until(t testing.TB, condition func() bool) {
	t.Helper()
	limit := time.Now().Add(time.Hour)
	if test, ok := t.(*testing.T); ok {
		if deadline, ok := test.Deadline(); ok {
			limit = deadline.Add(-20 * time.Second)
		}
	}
	for !condition() {
		if time.Now().After(limit) {
			t.Fatal("there is no time left")
		}
		time.Sleep(10 * time.Millisecond) // leaves the processors to those waited for
	}
}

// runFor is the annotation that a pod looks at: it goes on until that is "0s".
const runFor = "jobruns.test/run-for"

// pods is the template of pods that end with the exit code: at once, or, if they are held, when
// they are released. A stand-in for the kubelet that runs no containers goes by the annotations
// alone.
func pods(exitCode int, held bool) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{runFor: "0s"}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(0)),
			Containers: []corev1.Container{
				{
					Name:  "main",
					Image: "busybox",
					Command: []string{
						"sh",
						"-c",
						fmt.Sprintf(`until grep -q '%s="0s"' /pod/annotations; do sleep 0.1; done; exit %d`, runFor,
							exitCode),
					},
					VolumeMounts: []corev1.VolumeMount{{Name: "pod", MountPath: "/pod"}},
				},
			},
			Volumes: []corev1.Volume{
				{Name: "pod", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
					Items: []corev1.DownwardAPIVolumeFile{
						{Path: "annotations", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations"}},
					},
				}}},
			},
		},
	}
	if held {
		template.Annotations[runFor] = "24h"
	}
	if exitCode != 0 {
		template.Annotations["jobruns.test/exit-code"] = fmt.Sprint(exitCode)
	}
	return template
}

func pathOf(job *batchv1.Job) string {
	return "/apis/batch/v1/namespaces/" + job.Namespace + "/jobs/" + job.Name
}

// create makes a Job and returns it as the API server does.
func (c *cluster) create(t testing.TB, namespace string, job batchv1.Job) *batchv1.Job {
	t.Helper()
	job.GenerateName = "job-"
	created := new(batchv1.Job) // and nothing of job, which may share its parts with others
	c.must(t, "POST", "/apis/batch/v1/namespaces/"+namespace+"/jobs", job, created)
	return created
}

// release lets as many held pods of the Job end, as soon as they are there.
func (c *cluster) release(t testing.TB, job *batchv1.Job, n int) {
	t.Helper()
	path := "/api/v1/namespaces/" + job.Namespace + "/pods"
	until(t, func() bool {
		var list corev1.PodList
		c.must(t, "GET", path+"?labelSelector=batch.kubernetes.io/job-name="+job.Name, nil, &list)
		for _, pod := range list.Items {
			if n > 0 && pod.DeletionTimestamp == nil && pod.Annotations[runFor] != "0s" {
				c.must(t, "PATCH", path+"/"+pod.Name,
					map[string]any{"metadata": map[string]any{"annotations": map[string]string{runFor: "0s"}}}, nil)
				n--
			}
		}
		return n == 0
	})
}

// concluded returns the Job as it is when it has concluded, and the condition that says so.
func (c *cluster) concluded(t testing.TB, job *batchv1.Job) (concluded *batchv1.Job, condition batchv1.JobCondition) {
	t.Helper()
	until(t, func() bool {
		concluded = new(batchv1.Job)
		c.must(t, "GET", pathOf(job), nil, concluded)
		for _, condition = range concluded.Status.Conditions {
			if condition.Status == corev1.ConditionTrue &&
				(condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
				return true
			}
		}
		return false
	})
	return concluded, condition
}
