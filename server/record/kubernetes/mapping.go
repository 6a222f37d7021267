package kubernetes

import (
	"cmp"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// defaultBackoffLimit is what an unset backoffLimit means
// (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobSpec).
const defaultBackoffLimit = 6

// mapping says whose runs the Jobs are.
type mapping struct {
	team     string
	jobLabel string // the label that names the job of a Job without a CronJob; "" for none
	selector labels.Selector
	source   string
}

// record returns the run that the Job is.
func (m mapping) record(job *batchv1.Job) jobrun.Record {
	run := model.JobRun{
		ID:           string(job.UID),
		BackoffLimit: defaultBackoffLimit,
		Completions:  int(job.Status.Failed + job.Status.Succeeded),
		RunName:      job.Name,
		Status:       model.JobRunStatusRunning,
		StartedAt:    instant(job.CreationTimestamp),
	}
	if job.Spec.BackoffLimit != nil {
		run.BackoffLimit = int(*job.Spec.BackoffLimit)
	}
	if job.Status.StartTime != nil {
		run.StartedAt = instant(*job.Status.StartTime)
	}
	if job.Status.Active > 0 && (job.Spec.Suspend == nil || !*job.Spec.Suspend) {
		run.Active = model.FlagYes
	}
	record := jobrun.Record{
		Team:    m.team,
		Project: job.Namespace,
		Job:     m.job(job),
		Run:     run,
		Source:  m.source,
		Version: version(job.ResourceVersion),
		JobType: model.JobTypeManual,
	}
	if cronJob(job) != "" {
		record.JobType = model.JobTypeCron
	}
	// Only these two are final: SuccessCriteriaMet and FailureTarget say what will become of a Job
	// whose pods have not all ended
	// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions).
	if complete := condition(job, batchv1.JobComplete); complete != nil {
		at := complete.LastTransitionTime
		if job.Status.CompletionTime != nil {
			at = *job.Status.CompletionTime
		}
		record.Conclude(at.Time, true, end(complete, jobrun.ReasonCompleted, "the Job has completed"))
	} else if failed := condition(job, batchv1.JobFailed); failed != nil {
		record.Conclude(failed.LastTransitionTime.Time, false, end(failed, jobrun.ReasonUnknown, "the Job has failed"))
	}
	return record
}

// cronJob returns the name of the CronJob that owns the Job, or "" if none does.
func cronJob(job *batchv1.Job) string {
	if owner := metav1.GetControllerOfNoCopy(job); owner != nil && owner.Kind == "CronJob" {
		if group, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && group.Group == batchv1.GroupName {
			return owner.Name
		}
	}
	return ""
}

// job returns the name of the job that the Job is a run of.
func (m mapping) job(job *batchv1.Job) string {
	if name := cronJob(job); name != "" {
		return name
	}
	if name := job.Labels[m.jobLabel]; m.jobLabel != "" && name != "" {
		return name
	}
	return job.Name
}

// end returns what the Job's last condition says of how it ended, or else the reason and the
// message. Complete has a reason since Kubernetes 1.31.
func end(last *batchv1.JobCondition, reason, message string) jobrun.End {
	return jobrun.End{Reason: cmp.Or(last.Reason, reason), Message: cmp.Or(last.Message, message)}
}

// How a run ended whose Job went without a conclusion.
var (
	jobDeleted = jobrun.End{Reason: jobrun.ReasonJobDeleted, Message: "the Job was deleted while it ran"}
	jobGone    = jobrun.End{
		Reason:  jobrun.ReasonJobGone,
		Message: "the Job was deleted while nobody watched: how it ended is not known",
	}
)

// gone returns the run as it is after its Job has gone without a conclusion: failed, at that time,
// or right now if it is the zero time, and at the earliest when it started.
func gone(record jobrun.Record, at time.Time, end jobrun.End) jobrun.Record {
	if at.IsZero() {
		at = time.Now()
	}
	record.Conclude(at, false, end)
	return record
}

// condition returns the Job's condition of that type if it is true, or else nil.
func condition(job *batchv1.Job, of batchv1.JobConditionType) *batchv1.JobCondition {
	for i, c := range job.Status.Conditions {
		if c.Type == of && c.Status == corev1.ConditionTrue {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}

// version orders the states of a Job. A resource version is a number that grows, officially so
// since Kubernetes 1.35 and in fact ever before (https://www.kubernetes.dev/resources/keps/5504/).
// Returns 0 for one that is no number of 64 bits, as of an API server that is none of Kubernetes':
// its observations then count in the order in which they come.
func version(resourceVersion string) int64 {
	v, err := strconv.ParseInt(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return v
}

func instant(t metav1.Time) time.Time {
	return t.UTC().Truncate(time.Second)
}

// observation is a state of a Job: the run that it is, and no more, for the Job itself takes ten
// times the memory. It is what an informer keeps.
type observation struct {
	record          jobrun.Record
	resourceVersion string
	deletedAt       time.Time // zero for a Job that nobody has deleted, and for one that does not say when
	selected        bool
}

func (m mapping) observe(job *batchv1.Job) *observation {
	o := &observation{
		record:          m.record(job),
		resourceVersion: job.ResourceVersion,
		selected:        m.selector.Matches(labels.Set(job.Labels)),
	}
	if job.DeletionTimestamp != nil {
		o.deletedAt = instant(*job.DeletionTimestamp)
	}
	return o
}

// GetObjectMeta returns what an informer wants to know of an object.
func (o *observation) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{
		Namespace:       o.record.Project,
		Name:            o.record.Run.RunName,
		UID:             types.UID(o.record.Run.ID),
		ResourceVersion: o.resourceVersion,
	}
}
