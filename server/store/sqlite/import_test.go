package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/storetest"
)

// TestImportSaysWhetherItHasStoredAPart has a run refused in the first piece, and in the second.
func TestImportSaysWhetherItHasStoredAPart(t *testing.T) {
	defer func(before time.Duration) { lockTime = before }(lockTime)
	lockTime = 0 // so that a piece is one statement
	imported := func(yield func(jobrun.Record, error) bool) {
		for i := range importSize + 1 {
			if !yield(storetest.Record(func(r *jobrun.Record) { r.Run.ID = fmt.Sprintf("r%04d", i) }), nil) {
				return
			}
		}
	}
	for refused, partly := range map[string]bool{"r0500": false, "r1000": true} {
		s := storetest.Open(t, Engine, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
		storetest.Exec(t, s, `CREATE TRIGGER refuse BEFORE INSERT ON runs WHEN new.id = '`+refused+`'
			BEGIN SELECT raise(ABORT, 'refused'); END`)
		err := s.ImportRuns(t.Context(), imported)
		if err == nil || errors.Is(err, store.ErrPartly) != partly || !strings.Contains(err.Error(), "refused") ||
			strings.Count(err.Error(), "only some runs were imported") > 1 {
			t.Errorf("%s is refused: %v, want ErrPartly: %t", refused, err, partly)
		}
		_, err = s.Run(t.Context(), storetest.Record(func(r *jobrun.Record) { r.Run.ID = "r0000" }).Key())
		if (err == nil) != partly {
			t.Errorf("%s is refused: the first run: %v, want it stored: %t", refused, err, partly)
		}
		storetest.Exec(t, s, "DROP TRIGGER refuse")
		if err := s.ImportRuns(t.Context(), imported); err != nil {
			t.Errorf("again: %v", err)
		}
		storetest.WantRun(t, s, storetest.Record(func(r *jobrun.Record) { r.Run.ID = "r1000" }))
	}
}
