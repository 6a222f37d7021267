package sqlite_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

var listedRuns = flag.Int("listed-runs", 100_000, "how many runs BenchmarkLists has, half of them in one job")

// BenchmarkLists reads pages of 50, and a run, out of many runs: half of them in one job, and half
// in jobs of 50 runs. One run in 100,000 has failed.
func BenchmarkLists(b *testing.B) {
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "runs.db"), sqlite.Engine)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	runs := *listedRuns
	record := func(i int) jobrun.Record {
		return storetest.Record(func(r *jobrun.Record) {
			r.Run.ID = fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", uint32(i)*2654435761)
			r.Run.StartedAt = r.Run.StartedAt.Add(time.Duration(i) * time.Second)
			r.Conclude(r.Run.StartedAt.Add(time.Minute), i%100_000 != 0, jobrun.End{})
			if i%2 == 1 {
				r.Job = fmt.Sprintf("job-%07d", i/100)
			}
		})
	}
	begin := time.Now()
	if err := s.ImportRuns(b.Context(), func(yield func(jobrun.Record, error) bool) {
		for i := range runs {
			if !yield(record(i), nil) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	b.Logf("import of %d runs: %s", runs, time.Since(begin))
	key := record(0).Key()
	deep := strconv.FormatInt(record(runs/10).Run.StartedAt.Unix(), 10) + ".x"
	page := jobrun.Page{Size: 50}
	list := func(filter jobrun.Filter, page jobrun.Page) func() (int, error) {
		return func() (int, error) {
			l, err := s.JobRuns(b.Context(), key, filter, page)
			return len(l.Items), err
		}
	}
	failed := jobrun.Filter{Statuses: []model.JobRunStatus{model.JobRunStatusFailed}}
	for _, bench := range []struct {
		name string
		read func() (int, error)
	}{
		{"one run", func() (int, error) {
			_, _, err := s.Run(b.Context(), record(rand.IntN(runs)).Key())
			return 1, err
		}},
		{"runs/first page", list(jobrun.Filter{}, page)},
		{"runs/cursor near the end", list(jobrun.Filter{}, jobrun.Page{Size: 50, After: deep})},
		{"runs/page 199", list(jobrun.Filter{}, jobrun.Page{Size: 50, Skip: 9900})},
		{"runs/failed", list(failed, page)},
		{"jobs/first page", func() (int, error) {
			l, err := s.Jobs(b.Context(), key, jobrun.Filter{}, page)
			return len(l.Items), err
		}},
		{"jobs/failed", func() (int, error) {
			l, err := s.Jobs(b.Context(), key, failed, page)
			return len(l.Items), err
		}},
		{"projects", func() (int, error) {
			l, err := s.Projects(b.Context(), key.Team, nil, page)
			return len(l.Items), err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			items := 0
			for b.Loop() {
				var err error
				if items, err = bench.read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(items), "items")
		})
	}
}
