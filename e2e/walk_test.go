package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/client"
)

// startedRun is a line of a run of job j in project p that ran from one time to another.
func startedRun(id string, started, concluded time.Time) string {
	return strings.NewReplacer("2020-12-08T11:47:08Z", started.UTC().Format(time.RFC3339), "2020-12-08T11:52:08Z",
		concluded.UTC().Format(time.RFC3339)).Replace(runLine(id))
}

// TestWalkTellsOnceOfRunsThatAreThereThroughout pages through the runs of a job. Before each page,
// runs are added above, below and around it, and once, those that concluded long ago are removed,
// which are every other one.
func TestWalkTellsOnceOfRunsThatAreThereThroughout(t *testing.T) {
	t.Parallel()
	const pairs = 40
	a := newAPI(t, newStore(t))
	first := time.Date(2020, 12, 8, 0, 0, 0, 0, time.UTC)
	var text strings.Builder
	var want []string
	for i := range pairs {
		started := first.Add(time.Duration(i/2) * time.Minute) // two pairs start together
		stays, goes := fmt.Sprintf("stays-%03d", i), fmt.Sprintf("goes-%03d", i)
		text.WriteString(startedRun(stays, started, time.Now()) + startedRun(goes, started, started))
		want = append(want, stays)
	}
	slices.SortFunc(want, func(a, b string) int { // the newest start first, and then by ID
		var i, j int
		_, _ = fmt.Sscanf(a+" "+b, "stays-%d stays-%d", &i, &j)
		if i/2 != j/2 {
			return j/2 - i/2
		}
		return i - j
	})
	if got := importText(t, a.store, text.String()); got != imported(2*pairs) {
		t.Fatalf("%+v", got)
	}
	var got []string
	seen := map[string]int{}
	opts := client.ListJobRunsOptions{ListOptions: client.ListOptions{PerPage: 7}}
	for pages := 0; ; pages++ {
		var added strings.Builder
		for i, started := range []time.Time{
			time.Now(), first.Add(-time.Hour), first.Add(time.Duration(pages) * time.Minute),
			first.Add(time.Duration(pairs/2-pages) * time.Minute),
		} {
			added.WriteString(startedRun(fmt.Sprintf("new-%d-%d", pages, i), started, time.Now().Add(time.Minute)))
		}
		if got := importText(t, a.store, added.String()); got != imported(4) {
			t.Fatalf("%+v", got)
		}
		if pages == 3 {
			if got := jobrund(t, "prune", "--older-than", "24h", "--store", a.store); got != removed(pairs) {
				t.Fatalf("%+v", got)
			}
		}
		page, _, err := a.ListJobRuns(t.Context(), client.JobRef{Project: "p", Job: "j"}, opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range page.Items {
			seen[run.ID]++
			if strings.HasPrefix(run.ID, "stays-") {
				got = append(got, run.ID)
			}
		}
		if !page.HasNext {
			break
		}
		opts.Cursor = page.Cursor
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the runs that were there throughout (-want +got):\n%s", diff)
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}
