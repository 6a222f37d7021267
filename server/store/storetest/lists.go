package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// all returns all items of a list, which it reads in parts of that size.
func all[T any](t *testing.T, size int, part func(jobrun.Page) (jobrun.List[T], error)) []T {
	t.Helper()
	var items []T
	page := jobrun.Page{Size: size}
	for range 1000 {
		list, err := part(page)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > size {
			t.Fatalf("a part of %d items, want %d at most", len(list.Items), size)
		}
		items = append(items, list.Items...)
		if list.Next == "" {
			return items
		}
		page.After = list.Next
	}
	t.Fatal("the list does not end")
	return nil
}

// withoutErrors yields the records.
func withoutErrors(records []jobrun.Record) iter.Seq2[jobrun.Record, error] {
	return func(yield func(jobrun.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// history is a random history of a few jobs, among others whose ids are close.
func history(random *rand.Rand) []jobrun.Record {
	var records []jobrun.Record
	for i := range 300 {
		team, project, job := []string{"a", "a.b", "b"}, []string{"p", "p-1"}, []string{"j", "j.1", "J"}
		r := Record(func(r *jobrun.Record) {
			r.Team, r.Project, r.Job = team[random.IntN(3)], project[random.IntN(2)], job[random.IntN(3)]
			r.Run.ID = fmt.Sprintf("r%d", random.IntN(1_000_000)*1000+i)
			r.Run.StartedAt = started.Add(time.Duration(random.IntN(20)) * time.Second)
		})
		switch random.IntN(3) {
		case 0:
			r.Run.Active, r.Run.Concluded, r.Run.ConcludedAt = model.FlagYes, false, nil
			r.Run.Status, r.Run.Succeeded = model.JobRunStatusRunning, model.FlagNo
		case 1:
			r.Conclude(started.Add(time.Hour), false, jobrun.End{})
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b jobrun.Record) int {
		return cmp.Or(b.Run.StartedAt.Compare(a.Run.StartedAt), strings.Compare(a.Run.ID, b.Run.ID))
	})
	return records
}

func testLists(t *testing.T, on subject) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, _ := on.open(t)
	records := history(random)
	if err := s.ImportRuns(t.Context(), withoutErrors(records)); err != nil {
		t.Fatal(err)
	}
	times := []*time.Time{nil}
	for _, at := range []time.Duration{-time.Hour, 5 * time.Second, 12*time.Second + time.Millisecond, time.Hour} {
		then := started.Add(at)
		times = append(times, &then)
	}
	for range 100 {
		at := records[random.IntN(len(records))]
		filter := jobrun.Filter{Since: times[random.IntN(len(times))], Until: times[random.IntN(len(times))]}
		for _, status := range []model.JobRunStatus{model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed} {
			if random.IntN(2) == 0 {
				filter.Statuses = append(filter.Statuses, status)
			}
		}
		size := 1 + random.IntN(100)
		var runs []model.JobRun
		var ofProject []model.ProjectRun
		latest := map[string]*model.JobRun{}
		var projects []string
		for i := range records {
			r := &records[i]
			if r.Team == at.Team && !slices.Contains(projects, r.Project) {
				projects = append(projects, r.Project)
			}
			if r.Team != at.Team || r.Project != at.Project {
				continue
			}
			if latest[r.Job] == nil {
				latest[r.Job] = &r.Run
			}
			if filter.Matches(r.Run.Status) && (filter.Since == nil || !r.Run.StartedAt.Before(*filter.Since)) &&
				(filter.Until == nil || r.Run.StartedAt.Before(*filter.Until)) {
				ofProject = append(ofProject, jobrun.NewProjectRun(r.Job, r.Run, r.Outcome))
				if r.Job == at.Job {
					runs = append(runs, r.Run)
				}
			}
		}
		slices.SortStableFunc(ofProject, func(a, b model.ProjectRun) int {
			return cmp.Or(b.StartedAt.Compare(a.StartedAt), strings.Compare(a.JobID, b.JobID))
		})
		var jobs []model.Job
		for _, id := range []string{"J", "j", "j.1"} {
			if run := latest[id]; run != nil && filter.Matches(run.Status) {
				job := jobrun.NewJob(jobrun.Key{Team: at.Team, Project: at.Project, Job: id}, model.JobTypeManual)
				job.LatestRun = run
				jobs = append(jobs, job)
			}
		}
		slices.Sort(projects)
		name := fmt.Sprintf("%s %+v, %d at once", at.Key(), filter, size)
		gotRuns := all(t, size, func(p jobrun.Page) (jobrun.List[model.JobRun], error) {
			return s.JobRuns(t.Context(), at.Key(), filter, p)
		})
		if d := diff.Diff(runs, gotRuns); d != "" {
			t.Errorf("runs of %s (-want +got):\n%s", name, d)
		}
		if skip := random.IntN(10); skip < len(runs) {
			part, err := s.JobRuns(t.Context(), at.Key(), filter, jobrun.Page{Size: size, Skip: skip})
			if d := diff.Diff(runs[skip:min(skip+size, len(runs))], part.Items); err != nil || d != "" {
				t.Errorf("runs of %s after %d: %v (-want +got):\n%s", name, skip, err, d)
			}
		}
		gotJobs := all(t, size%3+1, func(p jobrun.Page) (jobrun.List[model.Job], error) {
			return s.Jobs(t.Context(), at.Key(), filter, p, true)
		})
		of := jobrun.Key{Team: at.Team, Project: at.Project}
		gotOfProject := all(t, size, func(p jobrun.Page) (jobrun.List[model.ProjectRun], error) {
			return s.ProjectRuns(t.Context(), of, filter, p)
		})
		if d := diff.Diff(ofProject, gotOfProject); d != "" {
			t.Errorf("runs of the project of %s (-want +got):\n%s", name, d)
		}
		of.Job = at.Job
		gotOfProject = all(t, size, func(p jobrun.Page) (jobrun.List[model.ProjectRun], error) {
			return s.ProjectRuns(t.Context(), of, filter, p)
		})
		ofProject = slices.DeleteFunc(ofProject, func(r model.ProjectRun) bool { return r.JobID != at.Job })
		if d := diff.Diff(ofProject, gotOfProject, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("runs of the project, of %s (-want +got):\n%s", name, d)
		}
		if d := diff.Diff(jobs, gotJobs); d != "" {
			t.Errorf("jobs of %s (-want +got):\n%s", name, d)
		}
		gotProjects := all(t, 1, func(p jobrun.Page) (jobrun.List[string], error) {
			return s.Projects(t.Context(), at.Team, nil, p)
		})
		if d := diff.Diff(projects, gotProjects); d != "" {
			t.Errorf("projects of %s (-want +got):\n%s", name, d)
		}
	}
}

func testListsOfNothing(t *testing.T, on subject) {
	s, _ := on.open(t)
	Put(t, s, Record())
	key, page := Record().Key(), jobrun.Page{Size: 50}
	mayBeSeen := []string{"z", "other", key.Project, "a", key.Project}
	if list, err := s.Projects(t.Context(), key.Team, mayBeSeen, page); err != nil ||
		!slices.Equal(list.Items, []string{key.Project}) {
		t.Errorf("projects that a token may see: %+v, %v", list, err)
	}
	later := started.Add(time.Hour)
	none := jobrun.Filter{Since: &later, Statuses: []model.JobRunStatus{model.JobRunStatusFailed}}
	absent := jobrun.Key{Team: key.Team, Project: "other", Job: "other"}
	projects, err := s.Projects(t.Context(), "other", nil, page)
	runs, runsErr := s.JobRuns(t.Context(), key, none, page)
	jobs, jobsErr := s.Jobs(t.Context(), key, none, page, false)
	if err := errors.Join(err, runsErr, jobsErr); err != nil || len(projects.Items)+len(runs.Items)+len(jobs.Items) > 0 ||
		projects.Next+runs.Next+jobs.Next != "" {
		t.Errorf("%+v, %+v, %+v, %v; want empty lists", projects, runs, jobs, err)
	}
	if _, err := s.JobRuns(t.Context(), absent, jobrun.Filter{}, page); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("runs of a job without any: %v, want ErrNotFound", err)
	}
	if _, err := s.Jobs(t.Context(), absent, jobrun.Filter{}, page, false); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("jobs of a project without any: %v, want ErrNotFound", err)
	}
}
