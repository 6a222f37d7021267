//go:build e2e

package e2e

import (
	"testing"

	"github.com/jobruns/jobruns/e2e/postgres"
)

func BenchmarkPostgres(b *testing.B) {
	pg := postgres.Start(b)
	b.Run("Waiters", func(b *testing.B) { benchmarkWaiters(b, pg.NewDatabase) })
	b.Run("WakeUp", func(b *testing.B) { benchmarkWakeUp(b, pg.NewDatabase(b)) })
}
