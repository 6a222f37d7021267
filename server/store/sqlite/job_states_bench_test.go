package sqlite_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

var stateRuns = flag.Int("state-runs", 100_000, "how many runs BenchmarkJobStates has, in 10,000 jobs")

// BenchmarkJobStates reads the states of 10,000 jobs, and one run, of many runs, and reports how many
// reads of a run the state of a job is worth.
func BenchmarkJobStates(b *testing.B) {
	const jobs = 10_000
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "runs.db"), sqlite.Engine)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	record := func(i int) jobrun.Record {
		return storetest.Record(func(r *jobrun.Record) {
			r.Project, r.Job = fmt.Sprintf("project-%02d", i%100), fmt.Sprintf("job-%05d", i%jobs)
			r.Run.ID = fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", uint32(i)*2654435761)
			r.Run.StartedAt = r.Run.StartedAt.Add(time.Duration(i) * time.Second)
			r.Conclude(r.Run.StartedAt.Add(time.Minute), i/jobs%7 != 0, jobrun.End{})
		})
	}
	if err := s.ImportRuns(b.Context(), func(yield func(jobrun.Record, error) bool) {
		for i := range *stateRuns {
			if !yield(record(i), nil) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	var run time.Duration
	b.Run("one run", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Run(b.Context(), record(rand.IntN(*stateRuns)).Key()); err != nil {
				b.Fatal(err)
			}
		}
		run = b.Elapsed() / time.Duration(b.N)
	})
	b.Run("states", func(b *testing.B) {
		for b.Loop() {
			if states, _, err := s.JobStates(b.Context(), jobs); err != nil || len(states) != min(jobs, *stateRuns) {
				b.Fatalf("%d states, %v", len(states), err)
			}
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N*jobs)/float64(run), "runs/job")
	})
}
