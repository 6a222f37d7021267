package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// storedRun is a run of which a test derives the state of its job.
type storedRun struct {
	jobrun.RunState
	key jobrun.Key
}

// storedRuns returns the runs in the table runs.
func storedRuns(t *testing.T, s *Store) (runs []storedRun) {
	t.Helper()
	rows, err := s.DB().Query("SELECT team, project, job, id, status, started_at, concluded_at, lost_at FROM runs")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r storedRun
		var started int64
		var concluded, lost *int64
		if err := rows.Scan(&r.key.Team, &r.key.Project, &r.key.Job, &r.key.Run, &r.Status, &started, &concluded, &lost); err != nil {
			t.Fatal(err)
		}
		r.ID, r.StartedAt = r.key.Run, time.Unix(started, 0).UTC()
		if concluded != nil {
			r.ConcludedAt, r.Lost = new(time.Unix(*concluded, 0).UTC()), lost != nil
		}
		runs = append(runs, r)
	}
	return runs
}

// fold returns the states of the jobs of the runs, no two of which started at the same time.
func fold(runs []storedRun) []jobrun.JobState {
	slices.SortFunc(runs, func(a, b storedRun) int { return b.StartedAt.Compare(a.StartedAt) })
	states := map[jobrun.Key]*jobrun.JobState{}
	for _, r := range runs {
		key := jobrun.Key{Team: r.key.Team, Project: r.key.Project, Job: r.key.Job}
		state := states[key]
		if state == nil {
			state = &jobrun.JobState{Team: key.Team, Project: key.Project, Job: key.Job, Type: model.JobTypeManual, Latest: r.RunState}
			states[key] = state
		}
		state.CreatedAt = r.StartedAt
		switch {
		case r.ConcludedAt == nil:
			state.Running++
			state.RunningSince = &r.StartedAt
		case r.Status == model.JobRunStatusSuccess && state.Success.ID == "":
			state.Success = r.RunState
		case r.Status == model.JobRunStatusFailed:
			if state.Failure.ID == "" {
				state.Failure = r.RunState
			}
			if state.Success.ID == "" {
				state.FailuresInARow++
			}
		}
	}
	var sorted []jobrun.JobState
	for _, state := range states {
		// The table does not have what other columns tell.
		state.Success.Status, state.Success.Lost, state.Failure.Status, state.Failure.Lost = "", false, "", false
		sorted = append(sorted, *state)
	}
	slices.SortFunc(sorted, func(a, b jobrun.JobState) int {
		return slices.Compare([]string{a.Team, a.Project, a.Job}, []string{b.Team, b.Project, b.Job})
	})
	return sorted
}

// wantStates compares the table jobs with the runs.
func wantStates(t *testing.T, s *Store, after string, runs []storedRun) {
	t.Helper()
	want := fold(runs)
	got, more, err := s.JobStates(t.Context(), 1000)
	for i := range min(len(want), len(got)) { // a start that moved later does not count
		if got[i].CreatedAt.Before(want[i].CreatedAt) {
			want[i].CreatedAt = got[i].CreatedAt
		}
	}
	for i := range want {
		w := &want[i]
		run, err := s.Run(t.Context(), jobrun.Key{Team: w.Team, Project: w.Project, Job: w.Job, Run: w.Latest.ID})
		if err != nil {
			t.Fatal(err)
		}
		w.Latest.JobRun = *run
	}
	if d := diff.Diff(want, got); err != nil || more || len(got)+len(want) > 0 && d != "" {
		t.Fatalf("after %s: %v (-want +got):\n%s", after, err, d)
	}
}

// testJobsFollowTheirRuns compares the table jobs with the runs after each step of a random history.
func testJobsFollowTheirRuns(t *testing.T, on subject) {
	s, _ := on.open(t)
	w := newRandomWriter(t, s)
	steps := []func() string{w.report, w.report, w.report, w.lose, w.observe}
	for range 150 {
		step := steps[w.IntN(len(steps))]()
		wantStates(t, s, step, storedRuns(t, s))
	}
}

// testPruningKeepsTheStatesOfJobs prunes at random moments of a random history. Removed runs count
// like others, unless the job has been removed.
func testPruningKeepsTheStatesOfJobs(t *testing.T, on subject) {
	s, _ := on.open(t)
	w := newRandomWriter(t, s)
	known := map[jobrun.Key]storedRun{}
	steps := []func() string{w.report, w.report, w.report, w.report, w.report, w.lose, func() string {
		// Of runs that overlap, a removed failure does not count again if an earlier run then succeeds.
		for _, r := range known {
			if r.ConcludedAt == nil || r.Lost {
				report := model.JobRunReport{Conclusion: &model.JobRunConclusion{Succeeded: w.IntN(2) == 0}}
				run, err := s.RecordRun(t.Context(), r.key, report, func(bool) error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				r.Status, r.ConcludedAt, r.Lost = run.Status, run.ConcludedAt, false
				known[r.key] = r
			}
		}
		before := w.begin.Add(time.Duration(w.IntN(2000)) * time.Minute)
		keep := 1 + w.IntN(3)
		if _, err := s.Prune(t.Context(), store.Pruning{Before: before, Keep: keep}); err != nil {
			t.Fatal(err)
		}
		for _, state := range fold(slices.Collect(maps.Values(known))) {
			if state.Running == 0 && !slices.ContainsFunc(slices.Collect(maps.Values(known)), func(r storedRun) bool {
				return r.key.Job == state.Job && !r.ConcludedAt.Before(before)
			}) {
				maps.DeleteFunc(known, func(key jobrun.Key, _ storedRun) bool { return key.Job == state.Job })
			}
		}
		return fmt.Sprintf("pruning runs before %s", before)
	}}
	for range 200 {
		step := steps[w.IntN(len(steps))]()
		for _, r := range storedRuns(t, s) {
			known[r.key] = r
		}
		wantStates(t, s, step, slices.Collect(maps.Values(known)))
	}
}

// testManyWriteManyJobs has several processes write runs of the same jobs, in batches of any order. No
// writer fails, and the states of the jobs are those of the runs.
func testManyWriteManyJobs(t *testing.T, on subject) {
	s, url := on.open(t)
	var all sync.WaitGroup
	for p, other := range []*Store{s, on.reopen(t, url)} {
		for i := range 20 {
			all.Go(func() {
				for j := range 5 {
					key := jobrun.Key{Team: "t", Project: "p", Job: fmt.Sprint("j", (i*7+j)%10), Run: fmt.Sprint("r", p, "-", i, "-", j)}
					start := started.Add(time.Duration(p*1000+i*10+j) * time.Second)
					for _, c := range []*model.JobRunConclusion{nil, {Succeeded: (i+j)%2 == 0}} {
						report := model.JobRunReport{StartedAt: &start, Conclusion: c, HeartbeatTimeout: new(100)}
						if _, err := other.RecordRun(t.Context(), key, report, func(bool) error { return nil }); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
	}
	all.Wait()
	wantStates(t, s, "all writes", storedRuns(t, s))
}

// testRunsOfTheSameSecond has two runs end in the second in which both started. The run that changed
// last counts as the later one, also after another run has concluded and after a repeated report.
func testRunsOfTheSameSecond(t *testing.T, on subject) {
	s, _ := on.open(t)
	key, start := Record().Key(), time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	report := func(run string, at time.Time, c *model.JobRunConclusion, retries int) {
		t.Helper()
		key.Run = run
		report := model.JobRunReport{StartedAt: &at, Conclusion: c, BackoffLimit: &retries}
		if _, err := s.RecordRun(t.Context(), key, report, func(bool) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"long1", "long2"} {
		report(run, start.Add(-time.Minute), nil, 0)
	}
	report("a", start, &model.JobRunConclusion{}, 0)
	report("b", start, &model.JobRunConclusion{Succeeded: true}, 0)
	report("long1", start.Add(-time.Minute), &model.JobRunConclusion{Succeeded: true}, 0)
	report("a", start, &model.JobRunConclusion{}, 3)
	job, err := s.Job(t.Context(), key)
	if err != nil || job.State.LatestRun.ID != "b" || job.State.LatestSuccess.ID != "b" || job.State.FailuresInARow != 0 {
		t.Errorf("%+v, %v; want b and no failure", job.State, err)
	}
	report("c", start, &model.JobRunConclusion{}, 0)
	report("long2", start.Add(-time.Minute), &model.JobRunConclusion{}, 0)
	job, err = s.Job(t.Context(), key)
	if err != nil || job.State.LatestRun.ID != "c" || job.State.LatestFailure.ID != "c" || job.State.FailuresInARow != 1 {
		t.Errorf("%+v, %v; want c and one failure", job.State, err)
	}
}

// testRunInTheFutureDoesNotPrecede imports a run that claims to start in the future, and records
// another run.
func testRunInTheFutureDoesNotPrecede(t *testing.T, on subject) {
	s, _ := on.open(t)
	future := Record(func(r *jobrun.Record) { r.Run.StartedAt = time.Now().Add(time.Hour) })
	future.Conclude(future.Run.StartedAt, true, jobrun.End{})
	Put(t, s, future)
	key := future.Key()
	key.Run = "now"
	report := model.JobRunReport{Conclusion: &model.JobRunConclusion{}}
	if _, err := s.RecordRun(t.Context(), key, report, func(bool) error { return nil }); err != nil {
		t.Fatal(err)
	}
	job, err := s.Job(t.Context(), key)
	if err != nil || job.State.LatestRun.ID != "now" || job.State.FailuresInARow != 1 {
		t.Errorf("%+v, %v; want the run that was recorded last", job.State, err)
	}
	future.Run.ID = "failed"
	future.Conclude(future.Run.StartedAt, false, jobrun.End{})
	if err := s.ImportRuns(t.Context(), withoutErrors([]jobrun.Record{future})); err != nil {
		t.Fatal(err)
	}
	key.Run, report.Conclusion = "later", &model.JobRunConclusion{Succeeded: true}
	if _, err := s.RecordRun(t.Context(), key, report, func(bool) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if job, err := s.Job(t.Context(), key); err != nil || job.State.LatestRun.ID != "later" || job.State.FailuresInARow != 0 {
		t.Errorf("%+v, %v; want no failure after a success", job.State, err)
	}
}

// testRenewalLeavesTheJobAlone has a trigger refuse each change of a job.
func testRenewalLeavesTheJobAlone(t *testing.T, on subject) {
	s, _ := on.open(t)
	key := Record().Key()
	report := model.JobRunReport{HeartbeatTimeout: new(100)}
	admit := func(bool) error { return nil }
	if _, err := s.RecordRun(t.Context(), key, report, admit); err != nil {
		t.Fatal(err)
	}
	trigger := "CREATE TRIGGER refuse BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'refused'); END"
	if on.engine.LockRow != "" {
		trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;" +
			"CREATE TRIGGER refuse BEFORE UPDATE ON jobs EXECUTE FUNCTION refuse()"
	}
	Exec(t, s, trigger)
	if _, err := s.RecordRun(t.Context(), key, report, admit); err != nil {
		t.Errorf("a renewal: %v", err)
	}
	report.Conclusion = &model.JobRunConclusion{}
	if _, err := s.RecordRun(t.Context(), key, report, admit); err == nil {
		t.Error("a conclusion does not change its job")
	}
}

// testJobHasTheTypeThatWatchTells records a run of a CronJob, and another run by a recorder that does
// not know the type.
func testJobHasTheTypeThatWatchTells(t *testing.T, on subject) {
	s, _ := on.open(t)
	Put(t, s, Record(func(r *jobrun.Record) { r.JobType = model.JobTypeCron }))
	Put(t, s, Record(withID("other")))
	if job, err := s.Job(t.Context(), Record().Key()); err != nil || job.JobType != model.JobTypeCron {
		t.Errorf("%+v, %v; want a cron job", job, err)
	}
}

// testPruneKeepsARunThatConcludedLate prunes a job whose latest run concluded before an earlier one.
func testPruneKeepsARunThatConcludedLate(t *testing.T, on subject) {
	s, _ := on.open(t)
	now := time.Now().UTC().Truncate(time.Second)
	Put(t, s, Record(withID("a"), func(r *jobrun.Record) { r.Run.StartedAt = now.Add(-60 * time.Hour) }, concluding(now)))
	Put(t, s, Record(withID("b"), func(r *jobrun.Record) { r.Run.StartedAt = now.Add(-59 * time.Hour) },
		concluding(now.Add(-58*time.Hour))))
	wantPruned(t, s, now.Add(-30*time.Hour), 0)
	wantStates(t, s, "pruning", storedRuns(t, s))
}

func testRemoveAndRenameJob(t *testing.T, on subject) {
	s, _ := on.open(t)
	key, open := Record().Key(), jobrun.Key{Team: "t", Project: "p", Job: "open"}
	Put(t, s, Record(withID("r")))
	if err := s.ImportRuns(t.Context(), old(store.PageSize+1)); err != nil {
		t.Fatal(err)
	}
	Put(t, s, Running(func(r *jobrun.Record) { r.Team, r.Project, r.Job = open.Team, open.Project, open.Job }))
	if err := s.RenameJob(t.Context(), key, "other"); err != nil {
		t.Fatal(err)
	}
	absent := key
	key.Job = "other"
	if n, err := s.CountRuns(t.Context(), key); err != nil || n != store.PageSize+2 {
		t.Errorf("the renamed job has %d runs, %v", n, err)
	}
	Put(t, s, Record()) // a job of the former name
	if err := s.RenameJob(t.Context(), absent, "other"); !errors.Is(err, store.ErrExists) {
		t.Errorf("renaming to a name that is taken: %v, want ErrExists", err)
	}
	for _, err := range []error{
		s.RenameJob(t.Context(), open, "x"), func() error { _, err := s.RemoveJob(t.Context(), open); return err }(),
	} {
		if !errors.Is(err, store.ErrOpen) {
			t.Errorf("a job with an open run: %v, want ErrOpen", err)
		}
	}
	if n, err := s.RemoveJob(t.Context(), key); err != nil || n != store.PageSize+2 {
		t.Errorf("removed %d runs, %v", n, err)
	}
	if _, err := s.Job(t.Context(), key); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("the removed job: %v, want ErrNotFound", err)
	}
	if _, err := s.RemoveJob(t.Context(), key); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("removing the job again: %v, want ErrNotFound", err)
	}
	wantStates(t, s, "all", storedRuns(t, s))
}
