package server_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// The lists of a fakeStore are continued by number: the cursor of runs has a form of its own.

func (s *fakeStore) Projects(
	_ context.Context,
	team string,
	only []string,
	page jobrun.Page,
) (jobrun.List[string], error) {
	var ids []string
	for _, r := range s.listed() {
		if r.Team == team && (len(only) == 0 || slices.Contains(only, r.Project)) && r.Project > page.After {
			ids = append(ids, r.Project)
		}
	}
	return part(slices.Compact(ids), page.Skip, page.Size, func(id string) string { return id }), s.listError()
}

func (s *fakeStore) Jobs(
	_ context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page, withRuns bool,
) (jobrun.List[model.Job], error) {
	states := s.states(key)
	var jobs []model.Job
	for _, state := range states {
		job := jobrun.NewJob(jobrun.Key{Team: state.Team, Project: state.Project, Job: state.Job}, model.JobTypeManual)
		if withRuns {
			run := s.runs[jobrun.Key{Team: state.Team, Project: state.Project, Job: state.Job, Run: state.Latest.ID}]
			job.LatestRun = &run
		}
		if state.Job > page.After && filter.Matches(state.Latest.Status) {
			jobs = append(jobs, job)
		}
	}
	return part(jobs, page.Skip, page.Size, func(j model.Job) string { return j.ID }),
		cmp.Or(s.listError(), notFoundUnless(len(states) > 0))
}

func (s *fakeStore) Job(_ context.Context, key jobrun.Key) (*model.JobDetail, error) {
	for _, state := range s.states(key) {
		if state.Job == key.Job {
			key.Run = state.Latest.ID
			return state.Detail(s.runs[key]), s.listError()
		}
	}
	return nil, cmp.Or(s.listError(), jobrun.ErrNotFound)
}

// states returns the states of the jobs of a project, by id.
func (s *fakeStore) states(key jobrun.Key) []jobrun.JobState {
	var states []jobrun.JobState
	for _, r := range slices.Backward(s.listed()) { // the run that started first comes first
		if r.Team != key.Team || r.Project != key.Project {
			continue
		}
		if n := len(states); n == 0 || states[n-1].Job != r.Job {
			states = append(states, jobrun.JobState{Team: r.Team, Project: r.Project, Job: r.Job, Type: model.JobTypeManual})
		}
		run := jobrun.RunState{ID: r.Run.ID, Status: r.Run.Status, StartedAt: r.Run.StartedAt, ConcludedAt: r.Run.ConcludedAt}
		states[len(states)-1].Change(jobrun.RunState{}, run, time.Now())
	}
	slices.Reverse(states)
	return states
}

func (s *fakeStore) ProjectRuns(
	ctx context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.ProjectRun], error) {
	var runs []model.ProjectRun
	for _, state := range s.states(key) {
		if key.Job != "" && key.Job != state.Job {
			continue
		}
		ofJob, err := s.JobRuns(ctx, jobrun.Key{Team: state.Team, Project: state.Project, Job: state.Job}, filter,
			jobrun.Page{Size: 10_000})
		if err != nil {
			return jobrun.List[model.ProjectRun]{}, err
		}
		for _, run := range ofJob.Items {
			runs = append(runs, jobrun.NewProjectRun(state.Job, run, s.outcome))
		}
	}
	slices.SortStableFunc(runs, func(a, b model.ProjectRun) int { return b.StartedAt.Compare(a.StartedAt) })
	number, _, _ := strings.Cut(page.After, ".")
	skip, _ := strconv.Atoi(number)
	runs = runs[min(max(skip, 0), len(runs)):]
	list := part(runs, page.Skip, page.Size, func(r model.ProjectRun) string {
		return fmt.Sprintf("%d.%d.%s.%s", skip+page.Skip+page.Size, len(r.JobID), r.JobID, r.ID)
	})
	return list, cmp.Or(s.listError(), notFoundUnless(len(s.states(key)) > 0))
}

func (s *fakeStore) JobRuns(
	_ context.Context, key jobrun.Key, filter jobrun.Filter, page jobrun.Page,
) (jobrun.List[model.JobRun], error) {
	var runs []model.JobRun
	found := false
	for _, r := range s.listed() {
		if r.Team != key.Team || r.Project != key.Project || r.Job != key.Job {
			continue
		}
		found = true
		if filter.Matches(r.Run.Status) && (filter.Since == nil || !r.Run.StartedAt.Before(*filter.Since)) &&
			(filter.Until == nil || r.Run.StartedAt.Before(*filter.Until)) {
			runs = append(runs, r.Run)
		}
	}
	number, _, _ := strings.Cut(page.After, ".")
	skip, _ := strconv.Atoi(number)
	runs = runs[min(max(skip, 0), len(runs)):]
	list := part(
		runs,
		page.Skip,
		page.Size,
		func(r model.JobRun) string { return strconv.Itoa(skip+page.Skip+page.Size) + "." + r.ID },
	)
	return list, cmp.Or(s.listError(), notFoundUnless(found))
}

// listed returns all runs in the order of lists: by project, then by job, the latest first.
func (s *fakeStore) listed() []jobrun.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []jobrun.Record
	for key, run := range s.runs {
		s.lookups = append(s.lookups, key)
		records = append(records, jobrun.Record{Team: key.Team, Project: key.Project, Job: key.Job, Run: run})
	}
	slices.SortFunc(records, func(a, b jobrun.Record) int {
		return cmp.Or(strings.Compare(a.Project, b.Project), strings.Compare(a.Job, b.Job),
			b.Run.StartedAt.Compare(a.Run.StartedAt), strings.Compare(a.Run.ID, b.Run.ID))
	})
	return records
}

func (s *fakeStore) listError() error {
	if s.onRun != nil {
		return s.onRun()
	}
	return nil
}

func notFoundUnless(found bool) error {
	if !found {
		return jobrun.ErrNotFound
	}
	return nil
}

// part returns a part of the items. The function returns what follows an item.
func part[T any](items []T, skip, size int, next func(T) string) jobrun.List[T] {
	list := jobrun.List[T]{Items: items[min(skip, len(items)):]}
	if len(list.Items) > size {
		list.Items = list.Items[:size]
		list.Next = next(list.Items[size-1])
	}
	return list
}
