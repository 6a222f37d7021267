package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// numbered returns count records of different runs; first is the number of the first.
func numbered(first, count int) []jobrun.Record {
	records := make([]jobrun.Record, count)
	for i := range records {
		records[i] = storetest.Record(
			func(r *jobrun.Record) { r.Run.ID = fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", first+i) },
		)
	}
	return records
}

// BenchmarkRun reads one of 10,000 runs, at random.
func BenchmarkRun(b *testing.B) {
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "runs.db"), sqlite.Engine)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	records := numbered(0, 10_000)
	if err := s.PutRuns(b.Context(), records); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Run(b.Context(), records[rand.IntN(len(records))].Key()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutRuns writes 100 new runs at once.
func BenchmarkPutRuns(b *testing.B) {
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "runs.db"), sqlite.Engine)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for first := 0; b.Loop(); first += 100 {
		if err := s.PutRuns(b.Context(), numbered(first, 100)); err != nil {
			b.Fatal(err)
		}
	}
}
