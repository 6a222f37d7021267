package kubernetes

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobruns/jobruns/server/jobrun"
)

// TestWatcherKeepsTheFirstStart also restarts the watcher between the states of a Job.
func TestWatcherKeepsTheFirstStart(t *testing.T) {
	t.Parallel()
	created := time.Unix(1_700_000_000, 0).UTC()
	at := func(seconds int) metav1.Time {
		return metav1.Time{Time: created.Add(time.Duration(seconds) * time.Second)}
	}
	state := func(began int, suspension corev1.ConditionStatus, since int) *batchv1.Job {
		job := named(t, "running", "a", "backup")
		job.CreationTimestamp, job.Status.StartTime = at(0), nil
		if began >= 0 {
			job.Status.StartTime = new(at(began))
		}
		if suspension != "" {
			job.Status.Conditions = []batchv1.JobCondition{
				{Type: batchv1.JobSuspended, Status: suspension, LastTransitionTime: at(since)},
			}
		}
		if suspension == corev1.ConditionTrue {
			job.Spec.Suspend, job.Status.Active = new(true), 0
		}
		return job
	}
	running := func(began int) *batchv1.Job { return state(began, "", 0) }
	suspended := func(since int) *batchv1.Job { return state(-1, corev1.ConditionTrue, since) }
	resumed := func(began int) *batchv1.Job { return state(began, corev1.ConditionFalse, began) }
	ended := func(job *batchv1.Job, of batchv1.JobConditionType) *batchv1.Job {
		job.Status.Active = 0
		job.Status.Conditions = append(job.Status.Conditions,
			batchv1.JobCondition{Type: of, Status: corev1.ConditionTrue, LastTransitionTime: at(90)})
		return job
	}
	for name, test := range map[string]struct {
		states []*batchv1.Job
		want   []int // when it began, in seconds after it was created
	}{
		"suspended later": {
			[]*batchv1.Job{running(2), suspended(10), resumed(20), suspended(30), resumed(40), ended(resumed(40), batchv1.JobComplete)},
			[]int{2, 2, 2, 2, 2, 2},
		},
		"began in the second of its creation": {
			[]*batchv1.Job{running(0), suspended(10), resumed(20), ended(resumed(20), batchv1.JobFailed)},
			[]int{0, 0, 0, 0},
		},
		"suspended from the beginning": {
			[]*batchv1.Job{suspended(0), resumed(20), suspended(30), resumed(40)},
			[]int{0, 20, 20, 20},
		},
		"failed while suspended": {
			[]*batchv1.Job{running(2), ended(suspended(10), batchv1.JobFailed)},
			[]int{2, 2},
		},
		"seen late": {[]*batchv1.Job{resumed(20), suspended(30), resumed(40)}, []int{20, 20, 20}},
	} {
		for mode, change := range map[string]func(w *watching, job *batchv1.Job) *watching{
			"": func(w *watching, job *batchv1.Job) *watching { w.api.set(job); return w },
			", watcher restarts before": func(w *watching, job *batchv1.Job) *watching {
				w.stop()
				w = start(t, w.api, w.store, Options{})
				w.journal.await("msg=synced")
				w.api.set(job)
				return w
			},
			", unseen": func(w *watching, job *batchv1.Job) *watching {
				w.stop()
				w.api.set(job)
				return start(t, w.api, w.store, Options{})
			},
		} {
			want := test.want
			if name == "suspended from the beginning" && mode == ", unseen" {
				// From what is stored it cannot be told whether it began in the second of its
				// creation, and what was stored stays.
				want = []int{0, 0, 0, 0}
			}
			t.Run(name+mode, func(t *testing.T) {
				api, store := newFakeAPI(t), newFakeStore()
				w := start(t, api, store, Options{})
				for i, job := range test.states {
					w = change(w, job)
					version := api.version
					r := store.await(runKey("a", "backup"), func(r jobrun.Record) bool { return r.Version == version })
					if got := r.Run.StartedAt.Sub(created); got != time.Duration(want[i])*time.Second {
						t.Errorf("state %d: it began after %v, want %ds", i, got, want[i])
					}
				}
				api.delete("a", "backup")
				api.set(named(t, "success", "a", "last")) // comes after the deletion
				store.await(runKey("a", "last"), succeeded)
				r := store.await(runKey("a", "backup"), func(r jobrun.Record) bool { return r.Run.Concluded })
				if got := int(r.Run.StartedAt.Sub(created).Seconds()); got != want[len(want)-1] {
					t.Errorf("in the end it began after %ds", got)
				}
				w.stop()
				if len(w.starts.first) > 0 {
					t.Errorf("of a Job that is gone it remembers %v", w.starts.first)
				}
			})
		}
	}
}
