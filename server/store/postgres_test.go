//go:build e2e

package store

import (
	"testing"

	"github.com/jobruns/jobruns/e2e/postgres"
)

func TestPostgreSQL(t *testing.T) {
	server := postgres.Start(t)
	engineUnderTest{newURL: func(t *testing.T) string { return server.NewDatabase(t) }}.test(t)
}
