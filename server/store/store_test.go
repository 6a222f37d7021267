package store_test

import (
	"fmt"
	"testing"

	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

// TestOpenTellsNoPassword opens stores for which there is no engine.
func TestOpenTellsNoPassword(t *testing.T) {
	for url, told := range map[string]string{
		"postgres://u:hush@h/d":           "postgres://u:xxxxx@h/d",
		"postgres://h/d?password=hush":    "postgres://h/d?password=xxxxx",
		"postgres://u:hush@h:port/d":      "postgres://...",
		"mysql://u:hush@h/d":              "mysql://u:xxxxx@h/d",
		"mysql://h/A%20b?c=d":             "mysql://h/A%20b?c=d",
		"100%.db":                         "100%.db",
		"postgres+x://u@h?a=b&password=p": "postgres+x://u@h?a=b&password=xxxxx",
	} {
		s, err := store.Open(t.Context(), url, sqlite.Engine)
		if err == nil {
			s.Close()
		}
		if want := fmt.Sprintf(
			"store %q: this store cannot be used: its URL is not of the form sqlite:PATH",
			told,
		); err == nil ||
			err.Error() != want {
			t.Errorf("%s: got %v, want %s", url, err, want)
		}
	}
}
