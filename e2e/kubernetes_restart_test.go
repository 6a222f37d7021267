//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/jobruns/jobruns/gen/model"
)

// TestKubernetesWatcherKilled has one Job conclude, one go and one go on while nobody watches.
func TestKubernetesWatcherKilled(t *testing.T) {
	t.Parallel()
	r := newRecording(t)
	held := batchv1.JobSpec{Template: pods(0, true)}
	concluding, deleted, lasting := r.start(t, held), r.start(t, held), r.start(t, held)
	for _, job := range []*batchv1.Job{concluding, deleted, lasting} {
		r.reads(t, refOf(job), isActive)
	}
	r.watcher.stop(syscall.SIGKILL)

	r.release(t, concluding, 1)
	r.concluded(t, concluding)
	before := aSecondAfter(t, time.Now())
	r.must(t, "DELETE", pathOf(deleted)+"?propagationPolicy=Background", nil, nil)
	until(t, func() bool { return r.gone(t, pathOf(deleted)) })
	missed := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
	r.concluded(t, missed)
	for _, job := range []*batchv1.Job{concluding, deleted, lasting} {
		if run := r.get(t, refOf(job)); run.Status != model.JobRunStatusRunning {
			t.Errorf("while nobody watches: %+v", *run)
		}
	}

	second := r.watch(t, r.store, "--namespace", r.namespace)
	want := model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess}
	r.wantRun(t, concluding, refOf(concluding), want)
	r.wantRun(t, missed, refOf(missed), want)
	run := r.reads(t, refOf(deleted), isConcluded)
	if run.Status != model.JobRunStatusFailed || run.ConcludedAt == nil || run.ConcludedAt.Before(before) ||
		run.ConcludedAt.After(time.Now()) {
		t.Errorf("deleted after %s: %+v", before, *run)
	}
	second.says(t, "Job gone without a conclusion", string(deleted.UID))
	if run := r.get(t, refOf(lasting)); run.Status != model.JobRunStatusRunning || run.Active != model.FlagYes {
		t.Errorf("although it goes on: %+v", *run)
	}
	r.release(t, lasting, 1)
	r.wantRun(t, lasting, refOf(lasting), want)
}

// TestKubernetesAPIServerRestarts is not parallel: the other tests need the API server.
func TestKubernetesAPIServerRestarts(t *testing.T) {
	pidFile := filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "kube-apiserver.pid")
	r := newRecording(t)
	if _, err := os.Stat(pidFile); err != nil {
		const why = "the API server is not the test's own to restart"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	job := r.start(t, batchv1.JobSpec{Template: pods(0, true)})
	running := r.reads(t, refOf(job), isActive)
	r.restartAPIServer(t, pidFile, func() {
		r.watcher.says(t, "API server away")
		if run := r.get(t, refOf(job)); *run != *running {
			t.Errorf("without an API server: %+v, before: %+v", *run, *running)
		}
	})
	r.release(t, job, 1)
	r.wantRun(t, job, refOf(job), model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess})
}

// restartAPIServer kills the process that the file names, and starts the same again, which outlives
// the test.
func (c *cluster) restartAPIServer(t *testing.T, pidFile string, meanwhile func()) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	proc := "/proc/" + strconv.Itoa(pid)
	args := strings.Split(string(bytes.TrimRight(commandLine(t, proc), "\x00")), "\x00")
	if !slices.ContainsFunc(args[:1], func(program string) bool { return filepath.Base(program) == "kube-apiserver" }) {
		t.Fatalf("process %d is %q, no API server", pid, args)
	}
	folder, err := os.Readlink(proc + "/cwd")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(strings.TrimSuffix(pidFile, ".pid")+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil { // it takes a minute to end by itself
		t.Fatal(err)
	}
	defer func() { // also if the test fails meanwhile
		until(t, func() bool { return len(commandLine(t, proc)) == 0 })
		again := exec.Command(args[0], args[1:]...)
		again.Dir, again.Stdout, again.Stderr = folder, log, log
		again.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := again.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(again.Process.Pid)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return c.ready(t) })
	}()
	meanwhile()
}

// commandLine returns nothing for a process that has ended, even if nobody has waited for it.
func commandLine(t testing.TB, proc string) []byte {
	t.Helper()
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return line
}

func (c *cluster) ready(t testing.TB) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "GET", c.url+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
