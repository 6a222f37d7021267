package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// jobMetricsTimeout is how long a scrape waits for the states of jobs. Prometheus gives up a scrape
// after 10 seconds, unless it is configured otherwise, and the other metrics must arrive by then.
const jobMetricsTimeout = 5 * time.Second

// JobStates is what the metrics of jobs need of a store.
type JobStates interface {
	// JobStates returns how the jobs of all teams do, by team, project and job: the first of them,
	// up to that number, and whether there are more.
	JobStates(ctx context.Context, most int) (states []jobrun.JobState, more bool, err error)
}

// jobMetrics collects how jobs do. Each series of a job has the labels team, project and job.
type jobMetrics struct {
	store JobStates
	most  int
	log   *slog.Logger
	reads singleflight.Group

	status, lost, start, success, failure, duration, running, since *prometheus.Desc
	truncated, scraped, took                                        *prometheus.Desc
}

// NewJobMetrics returns a collector that reads the states of up to that many jobs from the store
// when it is scraped. Scrapes at the same time share one read. If the store does not return the
// states within five seconds, the collector has no metrics of jobs, says so in one metric and in
// the log.
func NewJobMetrics(store JobStates, most int, log *slog.Logger) prometheus.Collector {
	ofJob := func(name, help string, others ...string) *prometheus.Desc {
		return prometheus.NewDesc("jobruns_job_"+name, help, append([]string{"team", "project", "job"}, others...), nil)
	}
	ofAll := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("jobruns_jobs_"+name, help, nil, nil)
	}
	return &jobMetrics{
		store: store, most: most, log: log,
		status: ofJob("last_run_status",
			"Whether the job's run that started last has this status: 1 or 0.", "status"),
		lost: ofJob("last_run_recorder_lost",
			"Whether the job's run that started last has failed because its recorder has died: 1 or 0."),
		start: ofJob("last_start_timestamp_seconds",
			"When the job's run that started last started."),
		success: ofJob("last_success_timestamp_seconds",
			"When the run concluded that started last among the job's runs that succeeded."),
		failure: ofJob("last_failure_timestamp_seconds",
			"When the run concluded that started last among the job's runs that failed."),
		duration: ofJob("last_duration_seconds",
			"How long the run took that started last among the job's runs that have concluded."),
		running: ofJob("runs_running",
			"How many of the job's runs have not concluded."),
		since: ofJob("running_since_timestamp_seconds",
			"When the first of the job's runs started that have not concluded; absent if there is none."),
		truncated: ofAll("truncated",
			"Whether some jobs have no metrics, because there are more than --metrics-jobs allows: 1 or 0."),
		scraped: ofAll("scrape_success",
			"Whether the metrics of jobs could be read from the store: 1 or 0."),
		took: ofAll("scrape_duration_seconds",
			"How long this scrape waited for the store to return the metrics of jobs."),
	}
}

// Describe implements prometheus.Collector.
func (m *jobMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.status, m.lost, m.start, m.success, m.failure, m.duration, m.running, m.since, m.truncated, m.scraped, m.took,
	} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *jobMetrics) Collect(metrics chan<- prometheus.Metric) {
	begin := time.Now()
	states, more, err := m.read()
	send := func(of *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	send(m.took, time.Since(begin).Seconds())
	send(m.scraped, number(err == nil))
	if err != nil {
		m.log.Warn("the metrics of jobs cannot be read", "error", err)
		return
	}
	send(m.truncated, number(more))
	for _, s := range states {
		ofJob := func(of *prometheus.Desc, value float64) { send(of, value, s.Team, s.Project, s.Job) }
		at := func(of *prometheus.Desc, at *time.Time) {
			if at != nil {
				ofJob(of, float64(at.Unix()))
			}
		}
		last := s.Success
		if s.Success.ID == "" || s.Failure.ID != "" && s.Failure.StartedAt.After(s.Success.StartedAt) {
			last = s.Failure
		}
		for _, status := range []model.JobRunStatus{
			model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed,
		} {
			send(m.status, number(s.Latest.Status == status), s.Team, s.Project, s.Job, string(status))
		}
		ofJob(m.lost, number(s.Latest.Lost))
		at(m.start, &s.Latest.StartedAt)
		at(m.success, s.Success.ConcludedAt)
		at(m.failure, s.Failure.ConcludedAt)
		if last.ConcludedAt != nil {
			ofJob(m.duration, last.ConcludedAt.Sub(last.StartedAt).Seconds())
		}
		ofJob(m.running, float64(s.Running))
		at(m.since, s.RunningSince)
	}
}

// jobStates are what one read returned.
type jobStates struct {
	states []jobrun.JobState
	more   bool
}

// read reads the states, or waits for a read that has begun. It returns in time, even if the store
// does not.
func (m *jobMetrics) read() ([]jobrun.JobState, bool, error) {
	reading := m.reads.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), jobMetricsTimeout)
		defer cancel()
		states, more, err := m.store.JobStates(ctx, m.most)
		return jobStates{states, more}, err
	})
	select {
	case result := <-reading:
		read := result.Val.(jobStates)
		return read.states, read.more, result.Err
	case <-time.After(jobMetricsTimeout):
		return nil, false, jobrun.ErrTimeout
	}
}

// number returns 1 for true and 0 for false.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
