package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// testJobStates compares what the store says of a random history with what its runs say, read one by
// one. Some recorders have died.
func testJobStates(t *testing.T, on subject) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, _ := on.open(t)
	records := history(random)
	for i := range records {
		if r := &records[i]; r.Run.Concluded {
			took := time.Duration(random.IntN(600)) * time.Second
			r.Conclude(r.Run.StartedAt.Add(took), r.Run.Status == model.JobRunStatusSuccess, jobrun.End{})
		}
	}
	if err := s.PutRuns(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	Exec(t, s, "UPDATE runs SET lost_at = 0, heard_at = started_at WHERE concluded = 0 AND started_at % 2 = 0")
	tick(t, s)
	lost := map[jobrun.Key]bool{}
	var want []jobrun.JobState
	for i, r := range records {
		run, err := s.Run(t.Context(), r.Key())
		if err != nil {
			t.Fatal(err)
		}
		lost[r.Key()] = run.Concluded && !r.Run.Concluded
		records[i].Run = *run
		of := func(s jobrun.JobState) bool {
			return s.Team == r.Team && s.Project == r.Project && s.Job == r.Job
		}
		if !slices.ContainsFunc(want, of) {
			want = append(want, jobrun.JobState{Team: r.Team, Project: r.Project, Job: r.Job})
		}
	}
	for i := range want {
		fold(&want[i], records, lost)
	}
	slices.SortFunc(want, func(a, b jobrun.JobState) int {
		return slices.Compare([]string{a.Team, a.Project, a.Job}, []string{b.Team, b.Project, b.Job})
	})
	for most := range len(want) + 2 {
		got, more, err := s.JobStates(t.Context(), most)
		if d := diff.Diff(want[:min(most, len(want))], got); err != nil || len(got) > 0 && d != "" {
			t.Errorf("%d states, %v (-want +got):\n%s", most, err, d)
		}
		if len(got) != min(most, len(want)) || more != (most < len(want)) {
			t.Errorf("%d of up to %d states, more: %t", len(got), most, more)
		}
	}
}

// fold sets the state of the job from all runs, of which the latest comes first. lost contains
// those that a server has concluded.
func fold(state *jobrun.JobState, records []jobrun.Record, lost map[jobrun.Key]bool) {
	first := true
	for i := range records {
		r := &records[i]
		if r.Team != state.Team || r.Project != state.Project || r.Job != state.Job {
			continue
		}
		if first {
			state.Status, state.StartedAt, state.RecorderLost = r.Run.Status, r.Run.StartedAt, lost[r.Key()]
			first = false
		}
		switch {
		case !r.Run.Concluded:
			state.Running++
			state.RunningSince = &r.Run.StartedAt
		case r.Run.Status == model.JobRunStatusSuccess:
			state.LastSuccess = cmp.Or(state.LastSuccess, r.Run.ConcludedAt)
		default:
			state.LastFailure = cmp.Or(state.LastFailure, r.Run.ConcludedAt)
		}
		if r.Run.Concluded && state.LastDuration == nil {
			took := r.Run.ConcludedAt.Sub(r.Run.StartedAt)
			state.LastDuration = &took
		}
	}
}

// testJobStatesOfMany reads more jobs than one query does, so that queries go on after the last job of
// a project and of a team. One job has more runs that have not concluded than are looked at.
func testJobStatesOfMany(t *testing.T, on subject) {
	s, _ := on.open(t)
	job := func(i int) func(*jobrun.Record) {
		return func(r *jobrun.Record) {
			r.Team, r.Project, r.Job = fmt.Sprint("t", i/500), fmt.Sprintf("p-%04d", i/5), fmt.Sprintf("j-%04d", i)
		}
	}
	var records []jobrun.Record
	for i := range 1100 {
		records = append(records, Record(job(i)))
	}
	for i := range 120 {
		records = append(records, Running(job(700), func(r *jobrun.Record) {
			r.Run.ID = fmt.Sprintf("run-%d", i)
			r.Run.StartedAt = started.Add(time.Duration(i) * time.Second)
		}))
	}
	if err := s.PutRuns(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	states, more, err := s.JobStates(t.Context(), 2000)
	if err != nil || more || len(states) != 1100 {
		t.Fatalf("%d states, more: %t, %v", len(states), more, err)
	}
	for i, state := range states {
		if want := records[i]; state.Team != want.Team || state.Project != want.Project || state.Job != want.Job {
			t.Fatalf("state %d is %+v, want that of %s", i, state, want.Key())
		}
	}
	since := started.Add(20 * time.Second)
	took := concludedAt.Sub(started)
	want := jobrun.JobState{
		Team: "t1", Project: "p-0140", Job: "j-0700", Status: model.JobRunStatusRunning,
		StartedAt: started.Add(119 * time.Second), LastSuccess: &concludedAt, LastDuration: &took,
		Running: 100, RunningSince: &since,
	}
	if d := diff.Diff(want, states[700]); d != "" {
		t.Errorf("the job that runs (-want +got):\n%s", d)
	}
}
