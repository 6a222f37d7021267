package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

// fakeStates is a store of states. It calls onRead first, when set, which fails or blocks as a real
// store may.
type fakeStates struct {
	onRead func(context.Context) error
	states []jobrun.JobState

	mu    sync.Mutex
	reads int
}

func (s *fakeStates) JobStates(ctx context.Context, most int) ([]jobrun.JobState, bool, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	if s.onRead != nil {
		if err := s.onRead(ctx); err != nil {
			return nil, false, err
		}
	}
	return s.states[:min(most, len(s.states))], most < len(s.states), nil
}

// count returns how often the states were read.
func (s *fakeStates) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// newScraper returns a function that scrapes the metrics of up to two jobs, and one of another
// collector.
func newScraper(store server.JobStates, log io.Writer) func() string {
	registry := prometheus.NewPedanticRegistry()
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "jobruns_other_total", Help: "Another metric."})
	registry.MustRegister(other, server.NewJobMetrics(store, 2, slog.New(slog.NewJSONHandler(log, nil))))
	admin := listen.NewAdmin(func(context.Context) error { return nil }, registry)
	return func() string {
		response := httptest.NewRecorder()
		admin.ServeHTTP(response, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
		return response.Body.String()
	}
}

// samples returns the samples of jobs in the text format, in their order.
func samples(scraped string) []string {
	var samples []string
	for line := range strings.Lines(scraped) {
		if strings.HasPrefix(line, "jobruns_job") && !strings.HasPrefix(line, "jobruns_jobs_scrape_duration") {
			samples = append(samples, strings.TrimSuffix(line, "\n"))
		}
	}
	return samples
}

func TestJobMetrics(t *testing.T) {
	at := func(seconds int64) *time.Time {
		at := time.Unix(seconds, 0).UTC()
		return &at
	}
	running := jobrun.JobState{
		Team: "t", Project: "p", Job: "j",
		Latest: jobrun.RunState{JobRun: model.JobRun{
			ID: "c", Status: model.JobRunStatusRunning, StartedAt: *at(1_700_000_000),
		}},
		Success: jobrun.RunState{JobRun: model.JobRun{
			ID: "a", StartedAt: *at(1_599_999_910), ConcludedAt: at(1_600_000_000),
		}},
		Running: 2, RunningSince: at(1_650_000_000),
	}
	failed := model.JobRun{ID: "d", Status: model.JobRunStatusFailed, StartedAt: *at(1), ConcludedAt: at(91)}
	lost := jobrun.JobState{
		Team: "t", Project: "p", Job: "k",
		Latest:  jobrun.RunState{JobRun: failed, Lost: true},
		Failure: jobrun.RunState{JobRun: failed},
	}
	const ofRunning, ofLost = `{job="j",project="p",team="t"}`, `{job="k",project="p",team="t"}`
	samplesOfRunning := []string{
		"jobruns_job_last_duration_seconds" + ofRunning + " 90",
		"jobruns_job_last_run_recorder_lost" + ofRunning + " 0",
		`jobruns_job_last_run_status{job="j",project="p",status="FAILED",team="t"} 0`,
		`jobruns_job_last_run_status{job="j",project="p",status="RUNNING",team="t"} 1`,
		`jobruns_job_last_run_status{job="j",project="p",status="SUCCESS",team="t"} 0`,
		"jobruns_job_last_start_timestamp_seconds" + ofRunning + " 1.7e+09",
		"jobruns_job_last_success_timestamp_seconds" + ofRunning + " 1.6e+09",
		"jobruns_job_running_since_timestamp_seconds" + ofRunning + " 1.65e+09",
		"jobruns_job_runs_running" + ofRunning + " 2",
	}
	samplesOfLost := []string{
		"jobruns_job_last_duration_seconds" + ofLost + " 90",
		"jobruns_job_last_failure_timestamp_seconds" + ofLost + " 91",
		"jobruns_job_last_run_recorder_lost" + ofLost + " 1",
		`jobruns_job_last_run_status{job="k",project="p",status="FAILED",team="t"} 1`,
		`jobruns_job_last_run_status{job="k",project="p",status="RUNNING",team="t"} 0`,
		`jobruns_job_last_run_status{job="k",project="p",status="SUCCESS",team="t"} 0`,
		"jobruns_job_last_start_timestamp_seconds" + ofLost + " 1",
		"jobruns_job_runs_running" + ofLost + " 0",
	}
	for name, test := range map[string]struct {
		states []jobrun.JobState
		fails  error
		want   []string
	}{
		"none": {nil, nil, []string{"jobruns_jobs_scrape_success 1", "jobruns_jobs_truncated 0"}},
		"two": {[]jobrun.JobState{running, lost}, nil, slices.Concat(
			samplesOfRunning, samplesOfLost, []string{"jobruns_jobs_scrape_success 1", "jobruns_jobs_truncated 0"})},
		"one too many": {[]jobrun.JobState{running, lost, {Job: "z"}}, nil, slices.Concat(
			samplesOfRunning, samplesOfLost, []string{"jobruns_jobs_scrape_success 1", "jobruns_jobs_truncated 1"})},
		"store away": {[]jobrun.JobState{running}, jobrun.ErrUnavailable, []string{"jobruns_jobs_scrape_success 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logBuffer{}
			scraped := newScraper(&fakeStates{
				states: test.states, onRead: func(context.Context) error { return test.fails },
			}, log)()
			slices.Sort(test.want)
			got := samples(scraped)
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("samples (-want +got):\n%s", diff)
			}
			if !strings.Contains(scraped, "\njobruns_other_total 0\n") ||
				!strings.Contains(scraped, "\njobruns_jobs_scrape_duration_seconds ") {
				t.Errorf("other metrics are missing: %s", scraped)
			}
			logged := log.take()
			if said := strings.Contains(logged, jobrun.ErrUnavailable.Error()); said != (test.fails != nil) {
				t.Errorf("the log is %q", logged)
			}
			problems, err := testutil.GatherAndLint(gathererOf(t, test.states))
			if err != nil || len(problems) > 0 {
				t.Errorf("%v, %v", problems, err)
			}
		})
	}
}

// gathererOf returns a registry with the metrics of the states.
func gathererOf(t *testing.T, states []jobrun.JobState) prometheus.Gatherer {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(server.NewJobMetrics(&fakeStates{states: states}, len(states), slog.New(slog.DiscardHandler)))
	return registry
}

// TestJobMetricsOfASilentStore has the store not even notice that its context has ended.
func TestJobMetricsOfASilentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := make(chan struct{})
		store := &fakeStates{onRead: func(context.Context) error { <-silent; return errors.New("at last") }}
		log := &logBuffer{}
		scrape := newScraper(store, log)
		for range 3 { // a scrape that comes later waits no longer
			begin := time.Now()
			scraped := scrape()
			if took := time.Since(begin); took > 6*time.Second {
				t.Errorf("the scrape took %s", took)
			}
			if !strings.Contains(scraped, "\njobruns_jobs_scrape_success 0\n") ||
				!strings.Contains(scraped, "\njobruns_other_total 0\n") {
				t.Errorf("the scrape is %s", scraped)
			}
			if logged := log.take(); !strings.Contains(logged, jobrun.ErrTimeout.Error()) {
				t.Errorf("the log is %q", logged)
			}
		}
		if n := store.count(); n != 1 {
			t.Errorf("%d reads, want 1 that does not end", n)
		}
		close(silent)
	})
}

func TestScrapesAtTheSameTimeShareARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		store := &fakeStates{onRead: func(context.Context) error { <-goOn; return nil }}
		scrape := newScraper(store, io.Discard)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if scraped := scrape(); !strings.Contains(scraped, "\njobruns_jobs_scrape_success 1\n") {
					t.Errorf("the scrape is %s", scraped)
				}
			})
		}
		synctest.Wait()
		close(goOn)
		all.Wait()
		if n := store.count(); n != 1 {
			t.Errorf("%d reads, want 1", n)
		}
		scrape()
		if n := store.count(); n != 2 {
			t.Errorf("%d reads after one more scrape, want 2", n)
		}
	})
}
