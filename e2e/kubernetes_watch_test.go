//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

// daemon is a jobrund that goes on until it is told to end, and whose log is read meanwhile.
type daemon struct {
	process *exec.Cmd
	mu      sync.Mutex
	log     []string
	ended   chan struct{} // closed when the log is complete
}

// startDaemon starts jobrund with a store. The test ends it, if it still runs.
func startDaemon(t testing.TB, store string, args ...string) *daemon {
	t.Helper()
	d := newDaemon(t, store, args...)
	d.start(t)
	return d
}

// newDaemon returns jobrund with the arguments, to start.
func newDaemon(t testing.TB, store string, args ...string) *daemon {
	t.Helper()
	d := &daemon{process: program(t, "jobrund", args...), ended: make(chan struct{})}
	d.process.Env = append(d.process.Env, "JOBRUND_STORE="+store)
	return d
}

// start starts the process. The test stops it in the end.
func (d *daemon) start(t testing.TB) {
	t.Helper()
	stderr, err := d.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		for lines := bufio.NewReader(stderr); ; {
			line, err := lines.ReadString('\n')
			d.mu.Lock()
			d.log = append(d.log, line)
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		d.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", d.process, d.text())
		}
	})
}

// watch starts a watcher of the cluster.
func (c *cluster) watch(t testing.TB, store string, args ...string) *daemon {
	t.Helper()
	d := startDaemon(t, store,
		append([]string{"watch", "--kubeconfig", c.file(t), "--admin-addr", "127.0.0.1:0"}, args...)...)
	d.says(t, `"msg":"watching"`)
	return d
}

// stop ends the daemon with the signal, if it still runs.
func (d *daemon) stop(signal syscall.Signal) {
	_ = d.process.Process.Signal(signal) // unless it has ended
	<-d.ended
	_ = d.process.Wait()
}

// text is the log so far.
func (d *daemon) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, "")
}

// says waits until one line of the log has all the texts.
func (d *daemon) says(t testing.TB, texts ...string) {
	t.Helper()
	read := 0
	until(t, func() bool {
		ended := d.hasEnded()
		d.mu.Lock()
		lines := d.log[read:]
		d.mu.Unlock()
		read += len(lines)
		if slices.ContainsFunc(lines, func(line string) bool { return containsAll(line, texts) }) {
			return true
		}
		if ended {
			t.Fatalf("jobrund has ended and not said %q", texts)
		}
		return false
	})
}

func (d *daemon) hasEnded() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

var adminURL = regexp.MustCompile(`"msg":"serving admin","url":"([^"]+)"`)

// admin asks the listener for those who run the daemon.
func (d *daemon) admin(t testing.TB, path string) (status int, text string) {
	t.Helper()
	d.says(t, `"msg":"serving admin"`)
	response, err := http.Get(adminURL.FindStringSubmatch(d.text())[1] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func containsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// recording is a namespace of the cluster, a watcher of its Jobs, and a server that answers for
// them.
type recording struct {
	*cluster
	*api
	namespace string
	watcher   *daemon
}

func newRecording(t testing.TB, args ...string) *recording {
	t.Helper()
	c := newCluster(t)
	namespace, a := c.namespace(t), newAPI(t, newStore(t))
	return &recording{c, a, namespace, c.watch(t, a.store, append(args, "--namespace", namespace)...)}
}

// start makes a Job in the namespace.
func (r *recording) start(t testing.TB, spec batchv1.JobSpec) *batchv1.Job {
	t.Helper()
	return r.create(t, r.namespace, batchv1.Job{Spec: spec})
}

// refOf is the Job's run if nothing gives the job another name.
func refOf(job *batchv1.Job) client.RunRef {
	return client.RunRef{Project: job.Namespace, Job: job.Name, Run: string(job.UID)}
}

// get returns the run as the API tells it, or nil if there is none.
func (a *api) get(t testing.TB, ref client.RunRef) *model.JobRun {
	t.Helper()
	run, _, err := a.GetJobRun(t.Context(), ref)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		t.Fatal(err)
	}
	return run
}

// reads asks for the run until it is there and the condition holds.
func (a *api) reads(t testing.TB, ref client.RunRef, condition func(*model.JobRun) bool) *model.JobRun {
	t.Helper()
	var run *model.JobRun
	defer func() {
		if t.Failed() {
			t.Logf("the run reads %+v", run)
		}
	}()
	until(t, func() bool {
		run = a.get(t, ref)
		return run != nil && condition(run)
	})
	return run
}

func isActive(run *model.JobRun) bool    { return run.Active == model.FlagYes }
func isConcluded(run *model.JobRun) bool { return run.Concluded }

// wantRun waits until the Job has concluded and its run too, and compares them: want has what does
// not follow from the Job.
func (r *recording) wantRun(t testing.TB, job *batchv1.Job, ref client.RunRef, want model.JobRun) {
	t.Helper()
	job, condition := r.concluded(t, job)
	at := condition.LastTransitionTime.Time
	if job.Status.CompletionTime != nil {
		at = job.Status.CompletionTime.Time
	}
	want.ID, want.RunName, want.Concluded = string(job.UID), job.Name, true
	want.StartedAt, want.ConcludedAt = job.Status.StartTime.Time, &at
	if want.Status == model.JobRunStatusSuccess {
		want.Succeeded = model.FlagYes
	} else {
		want.Failed = model.FlagYes
	}
	wantSame(t, r.reads(t, ref, isConcluded), &want)
	r.wantReason(t, ref, condition.Reason, condition.Message)
}

// wantReason checks the outcome of a run: nobody knows the attempts of a Job, or a host.
func (a *api) wantReason(t testing.TB, ref client.RunRef, reason, message string) {
	t.Helper()
	got, _, err := a.GetJobRunOutcome(t.Context(), ref)
	want := &client.JobRunOutcome{Reason: &reason, Message: &message, Attempts: []client.JobRunAttempt{}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, the outcome (-want +got):\n%s", err, diff)
	}
}

func wantSame(t testing.TB, got, want *model.JobRun) {
	t.Helper()
	g, w := *got, *want
	if !g.StartedAt.Equal(w.StartedAt) || g.ConcludedAt == nil || w.ConcludedAt == nil ||
		!g.ConcludedAt.Equal(*w.ConcludedAt) {
		t.Errorf("recorded from %s to %s, want from %s to %s", g.StartedAt, g.ConcludedAt, w.StartedAt, w.ConcludedAt)
	}
	g.StartedAt, g.ConcludedAt = w.StartedAt, w.ConcludedAt
	if g != w {
		t.Errorf("recorded %+v\nwant     %+v", g, w)
	}
}
