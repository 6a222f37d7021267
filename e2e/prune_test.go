package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
)

// concluded is a line of a run of job j in project p that took five minutes, and concluded at the time.
func concluded(id string, at time.Time) string {
	return strings.NewReplacer("2020-12-08T11:52:08Z", at.UTC().Format(time.RFC3339),
		"2020-12-08T11:47:08Z", at.Add(-5*time.Minute).UTC().Format(time.RFC3339)).Replace(runLine(id))
}

// openLine is a line of a run of job j in project p that has not concluded.
func openLine(id string) string {
	return strings.NewReplacer(`"concluded":true`, `"concluded":false`, "SUCCESS", "RUNNING", `"active":0`, `"active":1`,
		`"succeeded":1`, `"succeeded":0`, `"2020-12-08T11:52:08Z"`, "null").Replace(runLine(id))
}

// ofJob is the line with another job.
func ofJob(job, line string) string {
	return strings.Replace(line, `"jobId":"j"`, `"jobId":"`+job+`"`, 1)
}

func removed(runs int) outcome {
	return outcome{stderr: "jobrund: removed " + someRuns(runs) + "\n"}
}

// someRuns says a number of runs as the programs do.
func someRuns(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

func TestPrune(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	ago := func(hours int) time.Time { return time.Now().Add(-time.Duration(hours) * time.Hour) }
	lines := concluded("old", ago(49)) + concluded("young", ago(47)) +
		openLine("running")
	for i, hours := range []int{100, 99, 98, 1} {
		lines += ofJob("kept", concluded(fmt.Sprint("kept", i), ago(hours)))
	}
	lines += ofJob("dead", concluded("dead0", ago(100))) + ofJob("dead", concluded("dead1", ago(99)))
	if got := importText(t, a.store, lines); got != imported(9) {
		t.Fatalf("%+v", got)
	}
	for _, test := range []struct {
		args    string
		removed int
		left    string
	}{
		{"--older-than 1000000h", 0, "dead0 dead1 kept0 kept1 kept2 kept3 old running young"},
		{"--older-than 48h --project other", 0, "dead0 dead1 kept0 kept1 kept2 kept3 old running young"},
		{"--older-than 48h --project p --job kept --keep-last 3", 1, "dead0 dead1 kept1 kept2 kept3 old running young"},
		{"--older-than 48h --project p --job j", 1, "dead0 dead1 kept1 kept2 kept3 running young"},
		{"--older-than 48h", 4, "kept3 running young"},
		{"--older-than 48h", 0, "kept3 running young"},
		{"--older-than 1s", 1, "running young"}, // the latest run of a job with an open run stays
	} {
		args := append([]string{"prune", "--store", a.store}, strings.Fields(test.args)...)
		if got := jobrund(t, args...); got != removed(test.removed) {
			t.Errorf("%s: %+v, want %d", test.args, got, test.removed)
		}
		rows, err := openDatabase(t, a.store).Query("SELECT id FROM runs ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for rows.Next() {
			left = append(left, "")
			if err := rows.Scan(&left[len(left)-1]); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(left, " "); got != test.left || rows.Err() != nil {
			t.Errorf("%s: left are %s, want %s", test.args, got, test.left)
		}
	}
	a.hasNot(t, "old")
	a.run(t, "young")
	if got := jobrund(t, "job", "list", "--store", a.store); strings.Contains(got.stdout, "dead") || strings.Contains(got.stdout, "kept") {
		t.Errorf("the jobs are\n%s", got.stdout)
	}
	for args, want := range map[string]string{
		"--older-than 1h --keep-last 0":      "--keep-last 0: must be at least 1",
		"--older-than 1h --job j":            "--job: give --project too",
		"--older-than 1h --team t":           "--team: give --project too",
		"--older-than 1h --project -":        "--project \"-\"",
		"--older-than 1h --project=":         "--project \"\"",
		"--older-than 1h --project p --job=": "--job \"\"",
	} {
		got := jobrund(t, append([]string{"prune", "--store", a.store}, strings.Fields(args)...)...)
		if got.status != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

// TestJobCommands lists, renames and removes jobs, and looks at what the API and the metrics then have.
func TestJobCommands(t *testing.T) {
	t.Parallel()
	admin := freeAddress(t)
	a := newAPI(t, newStore(t), "--admin-addr", admin)
	if got := importText(t, a.store, runLine("1")+runLine("2")+ofJob("other", runLine("3"))+ofJob("open", openLine("4"))); got != imported(4) {
		t.Fatalf("%+v", got)
	}
	for _, test := range []struct {
		args   string
		status int
		says   string
		jobs   string // afterwards
	}{
		{"rename --project p --job j --to other", 1, "--to other: there is a job of this ID already", "j open other"},
		{"rename --project p --job absent --to x", 1, `there is no job "absent" in the project "p"`, "j open other"},
		{"remove --project p --job open", 1, "a run of the job has not concluded", "j open other"},
		{"rename --project p --job j --to nightly", 0, "renamed the job j to nightly", "nightly open other"},
		{"remove --project p --job nightly", 0, "removed the job nightly and 2 runs", "open other"},
		{"remove --project p --job nightly", 1, "see jobrund job list", "open other"},
		{"remove --project p", 2, `"job" not set`, "open other"},
	} {
		got := jobrund(t, append([]string{"job", "--store", a.store}, strings.Fields(test.args)...)...)
		if got.status != test.status || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: %+v, want status %d, and %q", test.args, got, test.status, test.says)
		}
		if test.status == 0 && !strings.Contains(got.stderr, "with 2 runs") || test.status == 0 &&
			!strings.Contains(got.stderr, "jobrund watch records") {
			t.Errorf("%s says only %s", test.args, got.stderr)
		}
		var jobs []string
		for job, err := range a.Jobs(t.Context(), client.ProjectRef{Project: "p"}, client.ListJobsOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, job.ID)
			if !strings.Contains(jobrund(t, "job", "list", "--store", a.store).stdout, " "+job.ID+" ") {
				t.Errorf("job list lacks %s", job.ID)
			}
		}
		if got := strings.Join(jobs, " "); got != test.jobs {
			t.Errorf("%s: the jobs are %s, want %s", test.args, got, test.jobs)
		}
		_, metrics := read(t, "http://"+admin+"/metrics")
		for job := range strings.FieldsSeq("j nightly other") {
			has := strings.Contains(metrics, `jobruns_job_last_start_timestamp_seconds{job="`+job+`"`)
			if want := slices.Contains(jobs, job); has != want {
				t.Errorf("%s: the metrics have %s: %t, want %t", test.args, job, has, want)
			}
		}
	}
}

// TestPrunedFileIsUsedAgain removes as many runs as it adds, over and over.
func TestPrunedFileIsUsedAgain(t *testing.T) {
	t.Parallel()
	const runs = 1000
	store := newStore(t)
	var sizes []int64
	for round := range 4 {
		var text strings.Builder
		for i := range runs {
			text.WriteString(runLine(fmt.Sprintf("%d-%d", round, i)))
		}
		if got := importText(t, store, text.String()); got != imported(runs) {
			t.Fatalf("%+v", got)
		}
		if got := jobrund(t, "prune", "--older-than", "1h", "--store", store); got != removed(runs) {
			t.Fatalf("%+v", got)
		}
		sizes = append(sizes, size(strings.TrimPrefix(store, "sqlite:")))
	}
	if first, last := sizes[0], sizes[len(sizes)-1]; last > first+first/10 {
		t.Errorf("the file grows: %d bytes", sizes)
	}
}

// TestServeRetains starts several servers at once that all remove the same.
func TestServeRetains(t *testing.T) {
	t.Parallel()
	const runs = 300
	store := newStore(t)
	token := output(t, "jobrund", "token", "create", "--name", "n", "--store", store)
	var text strings.Builder
	writeRuns(t, &text, 0, runs)
	text.WriteString(concluded("young", time.Now()))
	if got := importText(t, store, text.String()); got != imported(runs+1) {
		t.Fatalf("%+v", got)
	}
	keeps := serve(t, store)
	ask(t, keeps, token, "/v1/projects/p/jobs/j/runs/0", http.StatusOK)
	var servers []*apiServer
	for range 3 {
		servers = append(servers, serve(t, store, "--retain", "90d"))
	}
	db := openDatabase(t, store)
	for left := 0; left != 1; time.Sleep(10 * time.Millisecond) {
		if err := db.QueryRow("SELECT count(*) FROM runs").Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	for status := 0; status != http.StatusNotFound; { // a run that has been removed may be cached for a second
		response, err := http.DefaultClient.Do(newRequest(t, keeps, token, "/v1/projects/p/jobs/j/runs/0"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		status = response.StatusCode
	}
	ask(t, keeps, token, "/v1/projects/p/jobs/j/runs/young", http.StatusOK)
	total := 0
	for _, s := range servers {
		if state := s.stop(t, syscall.SIGTERM); state.ExitCode() != 0 {
			t.Errorf("%s", state)
		}
		for line := range strings.Lines(s.log.String()) {
			var entry struct {
				Msg, Level string
				Removed    int
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "ERROR" {
				t.Errorf("%v: %s", err, line)
			}
			total += entry.Removed
		}
	}
	if total != runs {
		t.Errorf("the logs say that %d runs were removed, want %d", total, runs)
	}
}
