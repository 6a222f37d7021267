//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/jobruns/jobruns/e2e/postgres"
)

// TestMetricsJobs bounds how many jobs there are metrics of.
func TestMetricsJobs(t *testing.T) {
	store := newStore(t)
	for _, job := range []string{"a", "b"} {
		output(t, "jobrun", "--store", store, "--project", "p", "--job", job, "--quiet", "--", "true")
	}
	for most, want := range map[string][3]bool{ // whether there are metrics of each job, and one that says that it cut
		"0": {false, false, false}, "1": {true, false, true}, "2": {true, true, false},
	} {
		address := freeAddress(t)
		serve(t, store, "--admin-addr", address, "--metrics-jobs", most)
		_, metrics := read(t, "http://"+address+"/metrics")
		got := [3]bool{
			strings.Contains(metrics, `{job="a",project="p",`), strings.Contains(metrics, `{job="b",project="p",`),
			strings.Contains(metrics, "\njobruns_jobs_truncated 1\n"),
		}
		if got != want {
			t.Errorf("--metrics-jobs %s: %v, want %v", most, got, want)
		}
	}
	got := outcomeOf(t, program(t, "jobrund", "serve", "--store", store, "--metrics-jobs", "-1"))
	if got.status != 2 || !strings.Contains(got.stderr, "--metrics-jobs must not be negative") {
		t.Errorf("exit status %d, %s", got.status, got.stderr)
	}
}

// TestMetricsWhileTheDatabaseIsSilent cuts the network of a server: what is not of jobs is there, and
// so is that again which is.
func TestMetricsWhileTheDatabaseIsSilent(t *testing.T) {
	database := postgres.Start(t)
	url := database.NewDatabase(t)
	output(t, "jobrun", "--store", url, "--project", "p", "--job", "j", "--quiet", "--", "true")
	proxy := database.NewProxy(t)
	address := freeAddress(t)
	serve(t, strings.Replace(url, database.Address(), proxy.Address, 1), "--admin-addr", address)
	const ofJobs, other = `jobruns_job_last_run_status{job="j"`, "\njobruns_waiters 0\n"
	scrape := func(success string) bool {
		_, metrics := read(t, "http://"+address+"/metrics")
		if !strings.Contains(metrics, other) {
			t.Errorf("other metrics are missing: %s", metrics)
		}
		return strings.Contains(metrics, "\njobruns_jobs_scrape_success "+success+"\n") &&
			strings.Contains(metrics, ofJobs) == (success == "1")
	}
	if !scrape("1") {
		t.Error("there are no metrics of jobs")
	}
	proxy.Lock()
	if !scrape("0") {
		t.Error("the metrics do not say that the database is silent")
	}
	proxy.Unlock()
	until(t, func() bool { return scrape("1") })
}
