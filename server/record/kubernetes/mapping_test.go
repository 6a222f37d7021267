package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// load reads a Job that was recorded from a cluster.
func load(t *testing.T, name string) *batchv1.Job {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	job := new(batchv1.Job)
	if err := yaml.UnmarshalStrict(text, job); err != nil {
		t.Fatal(err)
	}
	return job
}

// at is a time on the day on which the Jobs were recorded.
func at(t *testing.T, clock string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, "2026-11-24T"+clock+"Z")
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// What each recorded Job is as a run. A run with no end goes on.
var recorded = map[string]struct {
	active                    model.Flag
	backoffLimit, completions int
	status                    model.JobRunStatus
	start, end                string
	reason, message           string
}{
	"not-started":             {0, 6, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"running":                 {1, 6, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"parallel-running":        {1, 6, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"indexed-running":         {1, 2147483647, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"suspended":               {0, 6, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"suspended-while-running": {0, 6, 0, model.JobRunStatusRunning, "00:08:00", "", "", ""},
	"resumed":                 {1, 6, 0, model.JobRunStatusRunning, "00:08:05", "", "", ""},
	"terminating":             {1, 6, 0, model.JobRunStatusRunning, "00:08:53", "", "", ""},
	"success-criteria-met":    {0, 6, 0, model.JobRunStatusRunning, "00:08:53", "", "", ""},
	"failure-target":          {0, 6, 0, model.JobRunStatusRunning, "00:08:53", "", "", ""},
	"deleted-while-running":   {1, 6, 0, model.JobRunStatusRunning, "00:08:53", "", "", ""},
	"success": {0, 6, 1, model.JobRunStatusSuccess, "00:08:00", "00:08:02",
		"CompletionsReached", "Reached expected number of succeeded pods"},
	"parallel-success": {0, 6, 6, model.JobRunStatusSuccess, "00:08:00", "00:08:08",
		"CompletionsReached", "Reached expected number of succeeded pods"},
	"success-policy": {0, 6, 3, model.JobRunStatusSuccess, "00:08:53", "00:08:56",
		"SuccessPolicy", "Matched rules at index 0"},
	"cronjob-success": {0, 6, 1, model.JobRunStatusSuccess, "00:09:00", "00:09:02",
		"CompletionsReached", "Reached expected number of succeeded pods"},
	"deleted-after-success": {0, 6, 1, model.JobRunStatusSuccess, "00:08:53", "00:08:55",
		"CompletionsReached", "Reached expected number of succeeded pods"},
	"failed-after-retries": {0, 2, 3, model.JobRunStatusFailed, "00:08:00", "00:08:34",
		"BackoffLimitExceeded", "Job has reached the specified backoff limit"},
	"failed-deadline": {0, 6, 1, model.JobRunStatusFailed, "00:08:00", "00:08:03",
		"DeadlineExceeded", "Job was active longer than specified deadline"},
	"failed-pod-policy": {0, 6, 2, model.JobRunStatusFailed, "00:08:53", "00:08:55",
		"PodFailurePolicy", "Container main for pod recorded/failpolicy-p6lxx failed with exit code 42 matching FailJob rule at index 0"},
	"indexed-failed": {0, 2147483647, 6, model.JobRunStatusFailed, "00:08:00", "00:08:13",
		"FailedIndexes", "Job has failed indexes"},
}

// outcomeOf returns the outcome of a Job: nobody knows its attempts.
func outcomeOf(reason, message string) *model.JobRunOutcome {
	return &model.JobRunOutcome{Reason: &reason, Message: &message, Attempts: []model.JobRunAttempt{}}
}

func TestMappingOfRecordedJobs(t *testing.T) {
	m := mapping{team: "platform", source: "kubernetes:test"}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(recorded) {
		t.Errorf("there are %d recorded Jobs (%v), and %d are tested", len(files), err, len(recorded))
	}
	for name, want := range recorded {
		t.Run(name, func(t *testing.T) {
			job := load(t, name)
			run := model.JobRun{
				ID:           string(job.UID),
				Active:       want.active,
				BackoffLimit: want.backoffLimit,
				Completions:  want.completions,
				RunName:      job.Name,
				Status:       want.status,
				StartedAt:    at(t, want.start),
			}
			if want.end != "" {
				end := at(t, want.end)
				run.Concluded, run.ConcludedAt = true, &end
			}
			switch want.status {
			case model.JobRunStatusSuccess:
				run.Succeeded = model.FlagYes
			case model.JobRunStatusFailed:
				run.Failed = model.FlagYes
			}
			record := jobrun.Record{
				Team:    "platform",
				Project: "recorded",
				Job:     job.Name,
				Run:     run,
				Source:  "kubernetes:test",
				Version: version(job.ResourceVersion),
				JobType: model.JobTypeManual,
			}
			if name == "cronjob-success" {
				record.Job, record.JobType = "nightly-backup", model.JobTypeCron
			}
			if want.reason != "" {
				record.Outcome = outcomeOf(want.reason, want.message)
			}
			if diff := cmp.Diff(record, m.record(job)); diff != "" {
				t.Errorf("the run (-want +got):\n%s", diff)
			}
			if job.ResourceVersion == "" || record.Version == 0 {
				t.Errorf("version %d of resource version %q", record.Version, job.ResourceVersion)
			}
		})
	}
}

// What the informer keeps must say all that it is used for.
func TestObservation(t *testing.T) {
	m := mapping{team: "a", source: "s", jobLabel: "example.com/job", selector: labels.Everything()}
	for name := range recorded {
		job := load(t, name)
		o := m.observe(job)
		if job.DeletionTimestamp == nil != o.deletedAt.IsZero() ||
			job.DeletionTimestamp != nil && !o.deletedAt.Equal(job.DeletionTimestamp.Time) {
			t.Errorf("%s: deleted at %v, want %v", name, o.deletedAt, job.DeletionTimestamp)
		}
		object, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		got := []any{object.GetNamespace(), object.GetName(), object.GetUID(), object.GetResourceVersion()}
		if diff := cmp.Diff([]any{job.Namespace, job.Name, job.UID, job.ResourceVersion}, got); diff != "" {
			t.Errorf("%s: what an informer sees (-want +got):\n%s", name, diff)
		}
	}
}

func TestMappingNamesTheJob(t *testing.T) {
	controller, other := true, false
	owned := func(version, kind, name string, controller *bool) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.OwnerReferences = append(j.OwnerReferences,
				metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, Controller: controller})
		}
	}
	label := func(value string) func(*batchv1.Job) {
		return func(j *batchv1.Job) { j.Labels = map[string]string{"example.com/job": value} }
	}
	for name, test := range map[string]struct {
		jobLabel string
		changes  []func(*batchv1.Job)
		want     string
	}{
		"alone":                       {"", nil, "running"},
		"label":                       {"example.com/job", nil, "nightly"},
		"label not asked for":         {"", []func(*batchv1.Job){label("weekly")}, "running"},
		"empty label":                 {"example.com/job", []func(*batchv1.Job){label("")}, "running"},
		"label that it does not have": {"example.com/other", nil, "running"},
		"label with an empty key":     {"", []func(*batchv1.Job){func(j *batchv1.Job) { j.Labels[""] = "x" }}, "running"},
		"CronJob before label":        {"example.com/job", []func(*batchv1.Job){owned("batch/v1", "CronJob", "backup", &controller)}, "backup"},
		"CronJob of another version":  {"", []func(*batchv1.Job){owned("batch/v2", "CronJob", "backup", &controller)}, "backup"},
		"CronJob of another group":    {"", []func(*batchv1.Job){owned("example.com/v1", "CronJob", "backup", &controller)}, "running"},
		"another controller":          {"", []func(*batchv1.Job){owned("batch/v1", "Workflow", "backup", &controller)}, "running"},
		"an owner that is none":       {"", []func(*batchv1.Job){owned("batch/v1", "CronJob", "backup", &other)}, "running"},
		"the controller of two":       {"", []func(*batchv1.Job){owned("v1", "ConfigMap", "c", nil), owned("batch/v1", "CronJob", "backup", &controller)}, "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			job := load(t, "running")
			for _, change := range test.changes {
				change(job)
			}
			m := mapping{jobLabel: test.jobLabel}
			if got := m.record(job).Job; got != test.want {
				t.Errorf("the job is %q, want %q", got, test.want)
			}
		})
	}
}

// What no recorded Job shows.
func TestMappingOfChangedJobs(t *testing.T) {
	m := mapping{}
	for name, test := range map[string]struct {
		of     string
		change func(*batchv1.Job)
		check  func(jobrun.Record) bool
	}{
		"a backoff limit that is not set": {"running", func(j *batchv1.Job) { j.Spec.BackoffLimit = nil },
			func(r jobrun.Record) bool { return r.Run.BackoffLimit == 6 }},
		"suspended, while pods are ending": {"running", func(j *batchv1.Job) { yes := true; j.Spec.Suspend = &yes },
			func(r jobrun.Record) bool {
				return r.Run.Active == model.FlagNo && r.Run.Status == model.JobRunStatusRunning
			}},
		"complete without a completion time": {"success", func(j *batchv1.Job) { j.Status.CompletionTime = nil },
			func(r jobrun.Record) bool { return r.Run.ConcludedAt.Equal(at(t, "00:08:02")) }},
		"concluded with pods that are still active": {"success", func(j *batchv1.Job) { j.Status.Active = 2 },
			func(r jobrun.Record) bool { return r.Run.Active == model.FlagNo && r.Run.Succeeded == model.FlagYes }},
		"a condition that is not true": {"success", func(j *batchv1.Job) {
			for i := range j.Status.Conditions {
				j.Status.Conditions[i].Status = "Unknown"
			}
		}, func(r jobrun.Record) bool { return !r.Run.Concluded && r.Run.ConcludedAt == nil }},
		"over before it started, by another clock": {"failed-deadline", func(j *batchv1.Job) {
			j.Status.StartTime = &metav1.Time{Time: at(t, "00:10:00")}
		}, func(r jobrun.Record) bool { return r.Run.ConcludedAt.Equal(r.Run.StartedAt) }},
		"fractions and zones": {"success", func(j *batchv1.Job) {
			zone := time.FixedZone("", 3600)
			j.Status.StartTime = &metav1.Time{Time: at(t, "00:08:01").Add(time.Second / 2).In(zone)}
			j.Status.CompletionTime = &metav1.Time{Time: at(t, "00:08:03").Add(time.Second / 2).In(zone)}
		}, func(r jobrun.Record) bool {
			utc := r.Run.StartedAt.Location() == time.UTC && r.Run.ConcludedAt.Location() == time.UTC
			return utc && r.Run.StartedAt.Equal(at(t, "00:08:01")) && r.Run.ConcludedAt.Equal(at(t, "00:08:03"))
		}},
		"a resource version that is no number": {"running", func(j *batchv1.Job) { j.ResourceVersion = "a7" },
			func(r jobrun.Record) bool { return r.Version == 0 }},
		"a resource version of more than 64 bits": {"running", func(j *batchv1.Job) { j.ResourceVersion = strings.Repeat("9", 20) },
			func(r jobrun.Record) bool { return r.Version == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			job := load(t, test.of)
			test.change(job)
			if got := m.record(job); !test.check(got) {
				t.Errorf("the run is %+v", got)
			}
		})
	}
}

func TestGone(t *testing.T) {
	running := mapping{team: "a", source: "s"}.record(load(t, "parallel-running"))
	for name, test := range map[string]struct {
		at   time.Time
		want string
	}{
		"later":                 {at(t, "00:09:00"), "00:09:00"},
		"with a fraction":       {at(t, "00:09:00").Add(time.Second - 1).In(time.FixedZone("", -3600)), "00:09:00"},
		"before it has started": {at(t, "00:07:00"), "00:08:00"},
	} {
		t.Run(name, func(t *testing.T) {
			want := running
			end := at(t, test.want)
			want.Run.Active, want.Run.Failed, want.Run.Status = model.FlagNo, model.FlagYes, model.JobRunStatusFailed
			want.Run.Concluded, want.Run.ConcludedAt = true, &end
			want.Outcome = outcomeOf("JobGone", "the Job was deleted while nobody watched: how it ended is not known")
			if diff := cmp.Diff(want, gone(running, test.at, jobGone)); diff != "" {
				t.Errorf("the run (-want +got):\n%s", diff)
			}
		})
	}
}

// Until Kubernetes 1.30, Complete had no reason. A controller of somebody else's may write
// anything.
func TestReasonOfOtherVersions(t *testing.T) {
	for name, test := range map[string]struct{ of, reason, message, wantReason, wantMessage string }{
		"complete without a reason": {"success", "", "", "Completed", "the Job has completed"},
		"failed without a reason":   {"failed-deadline", "", "", "Unknown", "the Job has failed"},
		"a reason of a domain":      {"failed-deadline", "example.com/Odd", "a\nb", "Unknown", "example.com/Odd: a b"},
	} {
		job := load(t, test.of)
		for i := range job.Status.Conditions {
			job.Status.Conditions[i].Reason, job.Status.Conditions[i].Message = test.reason, test.message
		}
		want := outcomeOf(test.wantReason, test.wantMessage)
		if diff := cmp.Diff(want, (mapping{}).record(job).Outcome); diff != "" {
			t.Errorf("%s: the outcome (-want +got):\n%s", name, diff)
		}
	}
}
