package store_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/stored"
)

// BenchmarkRun reads one of 10,000 runs after the other from SQLite, in no order.
func BenchmarkRun(b *testing.B) {
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "runs.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	records := make([]stored.Record, 10_000)
	for i := range records {
		records[i] = record(func(r *stored.Record) { r.Run.ID = fmt.Sprintf("%08x-35bd-4c71-8e7c-e36999b88723", i) })
	}
	if err := s.PutRuns(b.Context(), records); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Run(b.Context(), key(records[rand.IntN(len(records))])); err != nil {
			b.Fatal(err)
		}
	}
}
