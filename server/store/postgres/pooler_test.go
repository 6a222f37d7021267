//go:build e2e

package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	servers "github.com/jobruns/jobruns/e2e/postgres"
	"github.com/jobruns/jobruns/server/store/postgres"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// TestStoreBehindPgBouncer has all that a store does go through PgBouncer.
func TestStoreBehindPgBouncer(t *testing.T) {
	pg := servers.Start(t)
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			pooler := pg.StartBouncer(t, mode)
			through := func(url string) string { return strings.Replace(url, pg.Address(), pooler, 1) }
			engine := postgres.Engine
			engine.Connect = func(ctx context.Context, url string, create bool) (*sql.DB, func() error, error) {
				if strings.Contains(url, "search_path=") { // the test's own statements go past it
					url = strings.Replace(url, pooler, pg.Address(), 1)
				}
				return postgres.Engine.Connect(ctx, url, create)
			}
			storetest.Exercise(t, engine, func(t *testing.T) string { return through(pg.NewDatabase(t)) })
			storetest.ExerciseUpgrades(t, engine, migrations(t), func(t *testing.T, version int) string {
				return through(earlier(t, pg, version))
			})
		})
	}
}
