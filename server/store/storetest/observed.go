package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// observed returns the record as an observation in a cluster.
func observed(version int64, r jobrun.Record) jobrun.Record {
	r.Source, r.Version = "cluster", version
	return r
}

// testAnOlderObservationDoesNotReplaceANewerOne stores two records of a run, one after the other.
func testAnOlderObservationDoesNotReplaceANewerOne(t *testing.T, on subject) {
	named := func(name string, r jobrun.Record) jobrun.Record {
		r.Run.RunName = name
		return r
	}
	for name, test := range map[string]struct {
		first, second jobrun.Record
		want          string
	}{
		"newer":                               {observed(7, named("first", Running())), observed(8, named("second", Running())), "second"},
		"of the same age":                     {observed(7, named("first", Running())), observed(7, named("second", Running())), "second"},
		"older":                               {observed(8, named("first", Running())), observed(7, named("second", Running())), "first"},
		"a conclusion":                        {observed(7, named("first", Running())), observed(8, named("second", Record())), "second"},
		"an older conclusion":                 {observed(8, named("first", Running())), observed(7, named("second", Record())), "first"},
		"a newer conclusion":                  {observed(7, named("first", Record())), observed(8, named("second", Record())), "second"},
		"one that goes on, after it ended":    {observed(7, named("first", Record())), observed(8, named("second", Running())), "first"},
		"of what its recorder knew":           {named("first", Running()), observed(1, named("second", Running())), "second"},
		"that goes on, and had been imported": {named("first", Record()), observed(1, named("second", Running())), "first"},
		"imported":                            {observed(7, named("first", Record())), named("second", Running()), "second"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := on.open(t)
			Put(t, s, test.first)
			Put(t, s, test.second)
			run, err := s.Run(t.Context(), test.first.Key())
			if err != nil || run.RunName != test.want {
				t.Errorf("%v, the %v one is stored, want the %s", err, run, test.want)
			}
		})
	}
}

// testManyPutTheSameRuns has several watchers write the same runs, each in an order of its own. The
// latest observation stays, whatever the order of writes.
func testManyPutTheSameRuns(t *testing.T, on subject) {
	const runs, versions, writers = 101, 20, 4
	s, url := on.open(t)
	var all sync.WaitGroup
	for range writers {
		writer := on.reopen(t, url)
		all.Go(func() {
			for version := range versions {
				var records []jobrun.Record
				for i := range runs {
					r := Running(func(r *jobrun.Record) { r.Run.ID, r.Run.Completions = fmt.Sprint("run", i), version })
					if version == versions-1 {
						r.Run.Status, r.Run.Concluded, r.Run.ConcludedAt = model.JobRunStatusSuccess, true, &concludedAt
					}
					records = append(records, observed(int64(version), r))
				}
				rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
				if err := writer.PutRuns(t.Context(), records); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for i := range runs {
		run, err := s.Run(t.Context(), Record(func(r *jobrun.Record) { r.Run.ID = fmt.Sprint("run", i) }).Key())
		if err != nil || run.Completions != versions-1 || !run.Concluded {
			t.Errorf("%+v, %v", run, err)
		}
	}
}

func testUnconcluded(t *testing.T, on subject) {
	s, _ := on.open(t)
	id := func(id string) func(*jobrun.Record) {
		return func(r *jobrun.Record) { r.Run.ID = id }
	}
	elsewhere := observed(3, Running(id("elsewhere")))
	elsewhere.Source = "another cluster"
	want := []jobrun.Record{observed(1, Running(id("a"))), observed(2, Running(id("b")))}
	want[1].Source = "cluster 2"
	for _, r := range append(want, elsewhere, Running(id("not observed")), observed(4, Record(id("concluded")))) {
		r.Run.ID = strings.ReplaceAll(r.Run.ID, " ", "-")
		Put(t, s, r)
	}
	got, err := s.Unconcluded(t.Context(), "cluster")
	slices.SortFunc(got, func(a, b jobrun.Record) int { return cmp.Compare(a.Run.ID, b.Run.ID) })
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, unconcluded (-want +got):\n%s", err, diff)
	}
}

func testReady(t *testing.T, on subject) {
	s, _ := on.open(t)
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	Exec(t, s, "DROP TABLE runs")
	if err := s.Ready(t.Context()); !errors.Is(err, jobrun.ErrUnavailable) {
		t.Errorf("without its tables: %v, want ErrUnavailable", err)
	}
}
