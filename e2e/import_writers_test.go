//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
	"github.com/jobruns/jobruns/server/store/sqlite"
)

// sortedID is the id of a run that is stored after those of lower numbers.
func sortedID(number int) string { return fmt.Sprintf("%08d", number) }

// sortedFile returns a file of that many lines to import.
func sortedFile(t testing.TB, runs int) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewWriter(file)
	for number := range runs {
		_, _ = lines.WriteString(runLine(sortedID(number))) // Flush returns its error
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// TestImportKeepsNoWriterWaiting stores a run every 50 ms during an import.
func TestImportKeepsNoWriterWaiting(t *testing.T) {
	t.Parallel() // it mostly waits for the disk
	const runs = 150_000
	lines, url := sortedFile(t, runs), newStore(t)
	other, err := store.Open(t.Context(), url, sqlite.Engine)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	db := openDatabase(t, strings.TrimPrefix(url, "sqlite:"))
	defer db.Close()
	has := func(number int) (has bool) {
		if err := db.QueryRow(
			"SELECT EXISTS (SELECT 1 FROM runs WHERE (team, project, job, id) = ('default', 'p', 'j', $1))",
			sortedID(number),
		).Scan(
			&has,
		); err != nil {
			t.Error(err)
		}
		return has
	}

	importer := program(t, "jobrund", "import", "--store", url, lines)
	begin, ended := time.Now(), make(chan outcome, 1)
	go func() { ended <- outcomeOf(t, importer) }()
	var longest time.Duration
	between := 0 // how many writes ended after the import had stored its first run, and before its last
	for number := 0; ; number++ {
		asked := time.Now()
		if err := other.PutRun(t.Context(), jobrun.Record{Team: "t", Project: "p", Job: "other", Run: model.JobRun{
			ID: sortedID(
				number,
			),
			Active:    model.FlagYes,
			RunName:   "other",
			Status:    model.JobRunStatusRunning,
			StartedAt: asked,
		}}); err != nil {
			t.Error(err)
		}
		longest = max(longest, time.Since(asked))
		if has(0) && !has(runs-1) {
			between++
		}
		select {
		case got := <-ended:
			if got != imported(runs) {
				t.Errorf("%+v", got)
			}
			all := time.Since(begin)
			t.Logf(
				"in an import of %s, the longest of %d waits was %s, and %d writes came in between",
				all,
				number+1,
				longest,
				between,
			)
			if between == 0 || longest > all/4 {
				t.Error("the import has kept another writer waiting")
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
