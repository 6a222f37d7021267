//go:build e2e

package e2e

import (
	"math"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobruns/jobruns/gen/model"
)

func TestKubernetes(t *testing.T) {
	t.Parallel()
	r := newRecording(t)
	for name, test := range map[string]struct {
		spec batchv1.JobSpec
		want model.JobRun
	}{
		"success": {
			batchv1.JobSpec{Template: pods(0, false)},
			model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess}},
		"failure": {
			batchv1.JobSpec{Template: pods(3, false), BackoffLimit: new(int32(0))},
			model.JobRun{Completions: 1, Status: model.JobRunStatusFailed}},
		"parallelism 3": {
			batchv1.JobSpec{Template: pods(0, false), Parallelism: new(int32(3)), Completions: new(int32(5))},
			model.JobRun{BackoffLimit: 6, Completions: 5, Status: model.JobRunStatusSuccess}},
		"indexed, each with a limit": {
			batchv1.JobSpec{Template: pods(3, false), CompletionMode: new(batchv1.IndexedCompletion), Parallelism: new(int32(2)), Completions: new(int32(2)),
				BackoffLimitPerIndex: new(int32(0))},
			model.JobRun{BackoffLimit: math.MaxInt32, Completions: 2, Status: model.JobRunStatusFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := r.start(t, test.spec)
			r.wantRun(t, job, refOf(job), test.want)
		})
	}
}

// TestKubernetesCronJob makes the Job as kubectl create job --from does, and lets the cluster
// forget both.
func TestKubernetesCronJob(t *testing.T) {
	t.Parallel()
	r := newRecording(t, "--job-label", "app")
	cronJobs := "/apis/batch/v1/namespaces/" + r.namespace + "/cronjobs"
	cron := batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: new(true),
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pods(0, false)}}},
	}
	r.must(t, "POST", cronJobs, cron, &cron)
	job := r.create(t, r.namespace, batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"app": "backup"}, // which names the job only where no CronJob does
			Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(&cron, batchv1.SchemeGroupVersion.WithKind("CronJob")),
			},
		},
		Spec: cron.Spec.JobTemplate.Spec,
	})
	ref := refOf(job)
	ref.Job = "nightly"
	r.wantRun(t, job, ref, model.JobRun{BackoffLimit: 6, Completions: 1, Status: model.JobRunStatusSuccess})
	before := r.get(t, ref)

	r.must(t, "DELETE", cronJobs+"/nightly?propagationPolicy=Background", nil, nil)
	until(t, func() bool { return r.gone(t, pathOf(job)) })
	// What the watcher hears in the end it has heard of the deletion, too.
	last := r.start(t, batchv1.JobSpec{Template: pods(0, false)})
	r.reads(t, refOf(last), isConcluded)
	wantSame(t, r.get(t, ref), before)
}

func TestKubernetesFlags(t *testing.T) {
	t.Parallel()
	r := newRecording(t, "--selector", "record=yes", "--job-label", "app", "--team", "t")
	token := output(t, "jobrund", "token", "create", "--name", "t", "--team", "t", "--store", r.store)
	ofTeam := newClient(t, r.server, token)
	a := &api{Client: ofTeam, store: r.store, server: r.server}
	create := func(labels map[string]string) *batchv1.Job {
		return r.create(t, r.namespace,
			batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: batchv1.JobSpec{Template: pods(0, false)}})
	}
	other := create(map[string]string{"app": "backup"})
	unlabelled := create(map[string]string{"record": "yes"})
	labelled := create(map[string]string{"record": "yes", "app": "backup"})
	ref := refOf(labelled)
	ref.Job = "backup"
	a.reads(t, refOf(unlabelled), isConcluded)
	a.reads(t, ref, isConcluded)
	if run := r.get(t, ref); run != nil {
		t.Errorf("of another team: %+v", *run)
	}
	r.concluded(t, other)
	ref.Run = string(other.UID)
	if run := a.get(t, ref); run != nil {
		t.Errorf("recorded, although not selected: %+v", *run)
	}
}

func TestKubernetesDeletedWhileRunning(t *testing.T) {
	t.Parallel()
	r := newRecording(t)
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			job := r.start(t, batchv1.JobSpec{Template: pods(0, true)})
			running := r.reads(t, refOf(job), isActive)
			before := aSecondAfter(t, running.StartedAt)
			r.must(t, "DELETE", pathOf(job)+"?propagationPolicy="+string(policy), nil, nil)
			run := r.reads(t, refOf(job), isConcluded)
			if run.ConcludedAt == nil || run.ConcludedAt.Before(before) || run.ConcludedAt.After(time.Now()) {
				t.Errorf("concluded at %s, deleted not before %s", run.ConcludedAt, before)
			}
			want := *running
			want.Active, want.Concluded, want.ConcludedAt, want.Status, want.Failed = model.FlagNo, true, run.ConcludedAt, model.JobRunStatusFailed, model.FlagYes
			// Whether the pod that is deleted with it still counts is a race within the cluster.
			want.Completions = run.Completions
			wantSame(t, run, &want)
			r.wantReason(t, refOf(job), "JobDeleted", "the Job was deleted while it ran")
		})
	}
}

// aSecondAfter returns the next full second after the time, when it has come, so that what happens
// then cannot be taken for what happened before.
func aSecondAfter(t testing.TB, at time.Time) time.Time {
	t.Helper()
	next := at.Truncate(time.Second).Add(time.Second)
	until(t, func() bool { return !time.Now().Before(next) })
	return next
}
