package storetest

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Admit admits every report.
func Admit(bool) error { return nil }

// start and end are the reports of a run that fails.
func start() model.JobRunReport {
	return model.JobRunReport{StartedAt: &started, HeartbeatTimeout: new(120), Host: new("web-1")}
}

func end() model.JobRunReport {
	r := start()
	r.Conclusion = &model.JobRunConclusion{ConcludedAt: &concludedAt, ExitStatus: new(3)}
	r.Log = &[]model.LogLine{{TS: concludedAt, Log: "last\x00"}, {TS: concludedAt, Log: "words"}}
	return r
}

// ended returns the record of the run of start and end.
func ended() jobrun.Record {
	return Running(func(r *jobrun.Record) {
		r.Run.RunName, r.Run.Completions = r.Run.ID, 1
		r.Outcome, r.Log = jobrun.NewOutcome("web-1"), *end().Log
		r.Conclude(concludedAt, false, jobrun.End{
			Reason: jobrun.ReasonExitStatus, Message: "exit status 3", ExitStatus: new(3),
		})
	})
}

// Report records a report, and fails the test if the store refuses it or returns another run than
// it stores.
func Report(t *testing.T, s *Store, key jobrun.Key, r model.JobRunReport) {
	t.Helper()
	run, err := s.RecordRun(t.Context(), key, r, Admit)
	if err != nil {
		t.Fatal(err)
	}
	WantRun(t, s, jobrun.Record{Team: key.Team, Project: key.Project, Job: key.Job, Run: *run})
}

func tick(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Tick(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

// listen has servers listen for a time.
func listen(t *testing.T, s *Store, d time.Duration) {
	t.Helper()
	Exec(t, s, fmt.Sprintf("UPDATE listening SET ms = ms + %d", d.Milliseconds()))
	tick(t, s)
}

func wantLost(t *testing.T, s *Store, key jobrun.Key, at time.Time) {
	t.Helper()
	run, err := s.Run(t.Context(), key)
	if err != nil || run.Status != model.JobRunStatusFailed || !run.ConcludedAt.Equal(at) {
		t.Fatalf("%+v, %v; want a run that was lost at %s", run, err, at)
	}
	o, err := s.Outcome(t.Context(), key)
	if err != nil || *o.Reason != jobrun.ReasonRecorderLost || !strings.Contains(*o.Message, at.Format(time.RFC3339)) {
		t.Errorf("%+v, %v", o, err)
	}
}

func testReportsInAnyOrder(t *testing.T, on subject) {
	s, _ := on.open(t)
	want := ended()
	other := end()
	other.Log = &[]model.LogLine{{TS: started, Log: "another log"}}
	for i, reports := range [][]model.JobRunReport{
		{start(), end()}, {end(), start()}, {start(), start(), end(), other, start()}, {end(), end(), start(), end()},
	} {
		want.Job = fmt.Sprint("job", i)
		for _, r := range reports {
			Report(t, s, want.Key(), r)
		}
		WantRun(t, s, want)
		wantOutcome(t, s, want, want.Outcome)
		wantLogs(t, s, want, "web-1")
	}
	listen(t, s, time.Hour)
	WantRun(t, s, want)
}

func testReportIsRefused(t *testing.T, on subject) {
	s, _ := on.open(t)
	Report(t, s, Record(withID("ended")).Key(), end())
	Report(t, s, Record(withID("started")).Key(), start())
	Put(t, s, observed(1, Running(withID("observed"))))
	tired := errors.New("the token has used up its budget")
	refuse := func(isNew bool) error {
		if !isNew {
			return nil
		}
		return tired
	}
	conclude := func(c model.JobRunConclusion) model.JobRunReport { return model.JobRunReport{Conclusion: &c} }
	for _, test := range []struct {
		id     string
		report model.JobRunReport
		want   error
	}{
		{"started", model.JobRunReport{RunName: new("other")}, jobrun.ErrConflict},
		{"started", conclude(model.JobRunConclusion{Reason: new(jobrun.ReasonRecorderLost)}), jobrun.ErrInvalid},
		{"ended", conclude(model.JobRunConclusion{Succeeded: true}), jobrun.ErrConflict},
		{"observed", start(), jobrun.ErrConflict},
		{"new", start(), tired},
		{"a/b", start(), tired},
	} {
		key := Record(withID(test.id)).Key()
		before, _ := s.Run(t.Context(), key)
		_, err := s.RecordRun(t.Context(), key, test.report, refuse)
		after, _ := s.Run(t.Context(), key)
		if diff := cmp.Diff(before, after); !errors.Is(err, test.want) || diff != "" {
			t.Errorf("%s: %v, want %v, and the run as it was:\n%s", test.id, err, test.want, diff)
		}
	}
	if n := count(t, s); n != 3 {
		t.Errorf("%d runs are stored, want 3", n)
	}
}

// testReportAfterAnImport imports over a recorded run, whose recorder then reports late.
func testReportAfterAnImport(t *testing.T, on subject) {
	s, _ := on.open(t)
	named := start()
	named.RunName = new(Running().Run.RunName)
	Report(t, s, Record().Key(), named)
	for _, imported := range []jobrun.Record{Running(), Record()} {
		if err := s.ImportRuns(t.Context(), one(imported)); err != nil {
			t.Fatal(err)
		}
		listen(t, s, time.Hour)
		WantRun(t, s, imported) // nobody reports it, and it is not lost
	}
	Report(t, s, Record().Key(), named)
	WantRun(t, s, Record())
}

// testManyReport sends the start and the end of each run twice and in any order, at once, to two
// servers.
func testManyReport(t *testing.T, on subject) {
	const runs = 1000
	s, url := on.open(t)
	servers := []*Store{s, on.reopen(t, url)}
	var all sync.WaitGroup
	for i := range 4 * runs {
		r := start()
		if i/runs%2 == 1 {
			r = end()
		}
		all.Go(func() {
			time.Sleep(rand.N(500 * time.Millisecond))
			key := Record(withID(fmt.Sprint("run", i%runs))).Key()
			_, err := servers[rand.N(2)].RecordRun(t.Context(), key, r, Admit)
			for errors.Is(err, jobrun.ErrTimeout) { // a busy machine: a recorder sends its report again
				_, err = servers[rand.N(2)].RecordRun(t.Context(), key, r, Admit)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var n int
	if err := s.DB().QueryRow(`SELECT count(*) FROM runs WHERE status = 'FAILED' AND concluded = 1 AND active = 0
		AND started_at = $1 AND concluded_at = $2 AND lost_at IS NULL AND log LIKE '%words%' AND outcome LIKE '%ExitStatus%'`,
		started.Unix(), concludedAt.Unix()).Scan(&n); err != nil || n != runs || count(t, s) != runs {
		t.Errorf("%d of %d runs have ended as reported, %v", n, runs, err)
	}
}

// testWriteThatFailsLeavesOthersAlone has the writer find many writes at once. The database refuses
// one of them, and a caller leaves.
func testWriteThatFailsLeavesOthersAlone(t *testing.T, on subject) {
	const writes = 20
	s, _ := on.open(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		first := sync.OnceFunc(func() { close(begun); <-goOn })
		if _, err := s.RecordRun(t.Context(), Record(withID("first")).Key(), start(), func(bool) error {
			first()
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i := range writes {
		all.Go(func() {
			key := Record(withID(fmt.Sprint("run", i))).Key()
			if i == 7 {
				key.Job = ".job"
			}
			_, err := s.RecordRun(t.Context(), key, start(), Admit)
			if i == 7 && !errors.Is(err, jobrun.ErrInvalid) || i != 7 && err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	close(goOn)
	all.Wait()
	if n := count(t, s); n != writes {
		t.Errorf("%d runs, want %d", n, writes)
	}
}

// testRunIsLost has two servers, of which one loses a run.
func testRunIsLost(t *testing.T, on subject) {
	s, url := on.open(t)
	other := on.reopen(t, url)
	key, forever := Record(withID("short")).Key(), Running(withID("forever"))
	wantState := func(lost bool) {
		t.Helper()
		if states, _, err := s.JobStates(t.Context(), 2); err != nil || states[0].Latest.Lost != lost {
			t.Errorf("%+v, %v; want RecorderLost: %t", states, err, lost)
		}
	}
	Report(t, s, forever.Key(), model.JobRunReport{StartedAt: new(started.Add(-time.Hour)), RunName: &forever.Run.RunName})
	Report(t, s, key, start())
	var heard int64
	heardAt := func() time.Time {
		if err := s.DB().QueryRow("SELECT reported_at FROM runs WHERE id = 'short'").Scan(&heard); err != nil {
			t.Fatal(err)
		}
		return time.Unix(heard, 0)
	}
	if at := heardAt(); time.Since(at).Abs() > time.Minute {
		t.Errorf("heard at %s", at)
	}
	running := ended()
	running.Run = Running(withID("short")).Run
	running.Run.RunName = "short"

	Exec(t, s, "UPDATE runs SET reported_at = reported_at - 3600") // the clock was set forward
	tick(t, other)
	listen(t, s, 119*time.Second)
	tick(t, other)
	WantRun(t, s, running)

	done := Await(t.Context(), t, other, running, nil)
	Exec(t, s, "UPDATE listening SET ms = ms + 10000")
	var log strings.Builder
	var all sync.WaitGroup
	logger := slog.New(slog.NewTextHandler(&log, nil)) // which writes one line at a time
	for range 3 {
		for _, s := range []*Store{s, other} {
			all.Go(func() {
				if err := s.Tick(t.Context(), logger); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if n := strings.Count(log.String(), "a run is lost"); n != 1 {
		t.Errorf("the servers have concluded the run %d times:\n%s", n, &log)
	}
	wantLost(t, s, key, heardAt())
	if got := <-done; got.Err != nil || got.Run.Status != model.JobRunStatusFailed {
		t.Errorf("awaited %+v, %v", got.Run, got.Err)
	}
	wantState(true)

	before := revisionOf(t, s)
	Report(t, other, key, start())
	WantRun(t, s, running)
	if revisionOf(t, s) == before {
		t.Error("the run goes on, and the revision is as it was")
	}
	wantState(false)
	listen(t, s, 130*time.Second)
	wantLost(t, s, key, heardAt())
	Report(t, s, key, end())
	running = ended()
	running.Run.ID, running.Run.RunName = "short", "short"
	WantRun(t, s, running)
	wantState(false)
	if run, err := s.Run(t.Context(), forever.Key()); err != nil || run.Concluded {
		t.Errorf("a run without a heartbeat timeout: %+v, %v", run, err)
	}
}

// testListeningTimeCountsOnce has two servers listen, and compares the count with the clock.
func testListeningTimeCountsOnce(t *testing.T, on subject) {
	s, url := on.open(t)
	servers := []*Store{s, on.reopen(t, url)}
	listened := func() (ms int64) {
		if err := s.DB().QueryRow("SELECT ms FROM listening").Scan(&ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	listen := func() {
		var all sync.WaitGroup
		for _, s := range servers {
			all.Go(func() {
				for range 50 {
					time.Sleep(rand.N(5 * time.Millisecond))
					tick(t, s)
				}
			})
		}
		all.Wait()
	}
	listen()
	if ms := listened(); ms != 0 {
		t.Errorf("%d ms count before there is a run", ms)
	}
	Report(t, s, Record().Key(), start())
	begin := time.Now()
	tick(t, s)
	tick(t, servers[1])
	before := listened()
	listen()
	if ms, passed := listened()-before, time.Since(begin).Milliseconds(); ms > passed {
		t.Errorf("%d ms count of %d", ms, passed)
	}
	tick(t, s)
	before = listened()
	time.Sleep(50 * time.Millisecond)
	tick(t, s)
	if ms := listened() - before; ms < 50 {
		t.Errorf("%d ms count of 50 during which one server listened", ms)
	}
	Report(t, s, Record().Key(), end())
	before = listened()
	listen()
	if ms := listened(); ms != before {
		t.Errorf("%d ms count after the run", ms-before)
	}
}
