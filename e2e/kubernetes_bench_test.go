//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobruns/jobruns/gen/model"
)

// BenchmarkWatch starts a watcher of a namespace with many Jobs, and concludes some of them at a
// steady rate. It reports when all are in the store, beside how long it takes to list them; what
// memory the watcher takes; and the time from when the API server has a conclusion until a waiter
// knows it over HTTP, beside a plain watch of the Jobs.
func BenchmarkWatch(b *testing.B) {
	const jobs, concluding, perSecond = 20_000, 1000, 50
	for b.Loop() {
		m := newManyJobs(b, jobs)
		begin := time.Now()
		var list batchv1.JobList
		m.must(b, "GET", m.path, nil, &list)
		listed := time.Since(begin)
		if len(list.Items) != jobs {
			b.Fatalf("%d Jobs, want %d", len(list.Items), jobs)
		}

		a := newAPI(b, newStore(b))
		begin = time.Now()
		w := m.watch(b, a.store, "--namespace", m.namespace)
		w.says(b, `"msg":"synced"`)
		synced := time.Since(begin)
		atOnce(jobs, func(i int) {
			if a.get(b, refOf(&list.Items[i])) == nil {
				b.Errorf("synced, but without %s", list.Items[i].Name)
			}
		})
		resident := memory(b, w, "VmRSS:")

		known, seen := m.conclude(b, a, &list, concluding, perSecond)
		b.ReportMetric(synced.Seconds(), "s-until-synced")
		b.ReportMetric(synced.Seconds()/listed.Seconds(), "x-plain-list")
		b.ReportMetric(resident, "resident-MiB")
		b.ReportMetric(memory(b, w, "VmHWM:"), "peak-MiB")
		for name, delays := range map[string][]time.Duration{"waiter": known, "plain-watch": seen} {
			slices.Sort(delays)
			b.ReportMetric(milliseconds(delays[len(delays)/2]), name+"-p50-ms")
			b.ReportMetric(milliseconds(delays[len(delays)*99/100]), name+"-p99-ms")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// memory returns what /proc says of the watcher (proc_pid_status(5)), in MiB.
func memory(b *testing.B, w *daemon, field string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.process.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), field)
	kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes / 1024
}

// atOnce does something for each of n, a few at a time.
func atOnce(n int, do func(i int)) {
	const few = 16
	var all sync.WaitGroup
	for first := range few {
		all.Go(func() {
			for i := first; i < n; i += few {
				do(i)
			}
		})
	}
	all.Wait()
}

// manyJobs is a namespace with Jobs that the cluster leaves to the benchmark.
type manyJobs struct {
	*cluster
	namespace, path string
}

func newManyJobs(b *testing.B, n int) manyJobs {
	b.Helper()
	c := newCluster(b)
	namespace := c.namespace(b)
	m := manyJobs{c, namespace, "/apis/batch/v1/namespaces/" + namespace + "/jobs"}
	b.Cleanup(func() { // not all at once, which takes longer than a request may
		for left := true; left; {
			var list batchv1.JobList
			c.delete(b, m.path+"?propagationPolicy=Background&limit=1000")
			err := c.call(context.WithoutCancel(b.Context()), "GET", m.path+"?limit=1", nil, &list)
			left = err == nil && len(list.Items) > 0
		}
	})
	job := batchv1.Job{Spec: batchv1.JobSpec{Template: pods(0, true), ManagedBy: new("jobruns.test/bench")}}
	atOnce(n, func(int) { c.create(b, namespace, job) })
	return m
}

// conclude concludes the first n Jobs of the list at that rate. It returns how long after the API
// server's answer a waiter knew, and a plain watch.
func (m manyJobs) conclude(
	b *testing.B,
	a *api,
	list *batchv1.JobList,
	n, perSecond int,
) (known, seen []time.Duration) {
	b.Helper()
	waiters := make([]chan time.Time, n)
	events := map[string]chan time.Time{}
	for i, job := range list.Items[:n] {
		waiters[i], events[job.Name] = make(chan time.Time, 1), make(chan time.Time, 1)
		go func() {
			if run, _, err := a.WaitForJobRun(
				b.Context(),
				refOf(&job),
			); err != nil ||
				run.Status != model.JobRunStatusSuccess {
				b.Errorf("%s: %+v, %v", job.Name, run, err)
			}
			waiters[i] <- time.Now()
		}()
	}
	over := m.plainWatch(b, list.ResourceVersion, events)
	time.Sleep(3 * time.Second) // nothing tells from outside when all wait
	known, seen = make([]time.Duration, n), make([]time.Duration, n)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var all sync.WaitGroup
	for i, job := range list.Items[:n] {
		<-tick.C
		all.Go(func() {
			if err := m.call(
				b.Context(),
				"PATCH",
				m.path+"/"+job.Name+"/status",
				map[string]any{"status": succeeded()},
				nil,
			); err != nil {
				b.Error(err)
				return
			}
			patched := time.Now()
			known[i] = max(0, (<-waiters[i]).Sub(patched))
			select {
			case at := <-events[job.Name]:
				seen[i] = max(0, at.Sub(patched))
			case <-over:
			}
		})
	}
	all.Wait()
	return known, seen
}

func succeeded() batchv1.JobStatus {
	now := metav1.Now()
	return batchv1.JobStatus{
		StartTime: &now, CompletionTime: &now, Succeeded: 1,
		Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now},
		},
	}
}

// plainWatch tells when the API server sends each Job's change. It goes on where it was when the
// API server ends it, as it does with those that it finds slow. It returns a channel that is closed
// if that is not possible.
func (m manyJobs) plainWatch(b *testing.B, from string, events map[string]chan time.Time) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			var err error
			if from, err = m.follow(b.Context(), from, events); err != nil {
				if b.Context().Err() == nil {
					b.Errorf("plain watch: %v", err)
				}
				return
			}
		}
	}()
	return over
}

// follow watches from a version on until the API server ends it, and returns the version where that
// was.
func (m manyJobs) follow(ctx context.Context, from string, events map[string]chan time.Time) (string, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", m.url+m.path+"?watch=true&resourceVersion="+from, nil)
	if err != nil {
		return from, err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return from, err
	}
	defer response.Body.Close()
	for decoder := json.NewDecoder(response.Body); ; {
		var event struct {
			Type   string
			Object batchv1.Job
		}
		if err := decoder.Decode(&event); err != nil {
			return from, nil
		}
		if event.Type == "ERROR" || event.Object.ResourceVersion == "" {
			return from, fmt.Errorf("%s instead of a Job: %s", event.Type, response.Status)
		}
		from = event.Object.ResourceVersion
		select {
		case events[event.Object.Name] <- time.Now():
		default: // not the first
		}
	}
}
