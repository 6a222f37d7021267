package sqlite_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

var manyRuns = flag.Int("many-runs", 100_000, "how many runs BenchmarkLists and BenchmarkJobStates have")

// numbered returns a record with an id of its own for each number.
func numbered(i int, change ...func(*jobrun.Record)) jobrun.Record {
	return storetest.Record(append(change, func(r *jobrun.Record) {
		r.Run.ID = fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", uint32(i)*2654435761)
	})...)
}

// filled returns a new store with the records of the numbers below count.
func filled(b *testing.B, count int, record func(i int) jobrun.Record) *storetest.Store {
	b.Helper()
	s := storetest.Open(b, sqlite.Engine, "sqlite:"+b.TempDir()+"/runs.db")
	if err := s.ImportRuns(b.Context(), func(yield func(jobrun.Record, error) bool) {
		for i := range count {
			if !yield(record(i), nil) {
				return
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkRecordRun has 64 callers report new runs. "times" is how many it records in the time in
// which one run is written in a transaction of its own.
func BenchmarkRecordRun(b *testing.B) {
	s := filled(b, 0, nil)
	begin := time.Now()
	const single = 500
	for i := range single {
		if err := s.PutRun(b.Context(), numbered(i)); err != nil {
			b.Fatal(err)
		}
	}
	alone := time.Since(begin) / single
	file, err := os.Create(b.TempDir() + "/file")
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	begin = time.Now()
	for range single {
		if _, err := file.Write(make([]byte, 4096)); err != nil || file.Sync() != nil {
			b.Fatal(err)
		}
	}
	fsync := time.Since(begin) / single
	var last atomic.Int64
	last.Store(single)
	report := model.JobRunReport{HeartbeatTimeout: new(120)}
	b.ReportAllocs()
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			key := numbered(int(last.Add(1))).Key()
			if _, err := s.RecordRun(b.Context(), key, report, func(bool) error { return nil }); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(alone)*float64(b.N)/float64(b.Elapsed()), "times")
	b.ReportMetric(float64(alone.Microseconds()), "alone-µs/op")
	b.ReportMetric(float64(fsync.Microseconds()), "fsync-µs")
}

// BenchmarkLists reads pages of 50, and a run, out of many runs: half of them in one job, and half
// in jobs of 50 runs. One run in 100,000 has failed.
func BenchmarkLists(b *testing.B) {
	runs := *manyRuns
	record := func(i int) jobrun.Record {
		return numbered(i, func(r *jobrun.Record) {
			r.Run.StartedAt = r.Run.StartedAt.Add(time.Duration(i) * time.Second)
			r.Conclude(r.Run.StartedAt.Add(time.Minute), i%100_000 != 0, jobrun.End{})
			if i%2 == 1 {
				r.Job = fmt.Sprintf("job-%07d", i/100)
			}
		})
	}
	s := filled(b, runs, record)
	key := record(0).Key()
	deep := strconv.FormatInt(record(runs/10).Run.StartedAt.Unix(), 10) + ".x"
	page := jobrun.Page{Size: 50}
	list := func(filter jobrun.Filter, page jobrun.Page) func() (int, error) {
		return func() (int, error) {
			l, err := s.JobRuns(b.Context(), key, filter, page)
			return len(l.Items), err
		}
	}
	jobs := func(filter jobrun.Filter) func() (int, error) {
		return func() (int, error) {
			l, err := s.Jobs(b.Context(), key, filter, page, true)
			return len(l.Items), err
		}
	}
	failed := jobrun.Filter{Statuses: []model.JobRunStatus{model.JobRunStatusFailed}}
	for _, bench := range []struct {
		name string
		read func() (int, error)
	}{
		{"one run", func() (int, error) {
			_, err := s.Run(b.Context(), record(rand.IntN(runs)).Key())
			return 1, err
		}},
		{"runs/first page", list(jobrun.Filter{}, page)},
		{"runs/cursor near the end", list(jobrun.Filter{}, jobrun.Page{Size: 50, After: deep})},
		{"runs/page 199", list(jobrun.Filter{}, jobrun.Page{Size: 50, Skip: 9900})},
		{"runs/failed", list(failed, page)},
		{"jobs/first page", jobs(jobrun.Filter{})},
		{"jobs/failed", jobs(failed)},
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

// BenchmarkJobStates reads the states of 10,000 jobs of many runs.
func BenchmarkJobStates(b *testing.B) {
	const jobs = 10_000
	s := filled(b, *manyRuns, func(i int) jobrun.Record {
		return numbered(i, func(r *jobrun.Record) {
			r.Project, r.Job = fmt.Sprintf("project-%02d", i%100), fmt.Sprintf("job-%05d", i%jobs)
			r.Run.StartedAt = r.Run.StartedAt.Add(time.Duration(i) * time.Second)
			r.Conclude(r.Run.StartedAt.Add(time.Minute), i/jobs%7 != 0, jobrun.End{})
		})
	})
	for b.Loop() {
		if states, _, err := s.JobStates(b.Context(), jobs); err != nil || len(states) != min(jobs, *manyRuns) {
			b.Fatalf("%d states, %v", len(states), err)
		}
	}
}
