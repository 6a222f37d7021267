package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// concluded is a line of a run of job j in project p that concluded at the time.
func concluded(id string, at time.Time) string {
	return strings.Replace(runLine(id), "2020-12-08T11:52:08Z", at.UTC().Format(time.RFC3339), 1)
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
	now := time.Now()
	lines := concluded("old", now.Add(-49*time.Hour)) + concluded("young", now.Add(-47*time.Hour)) +
		strings.NewReplacer(`"concluded":true`, `"concluded":false`, "SUCCESS", "RUNNING", `"active":0`, `"active":1`,
			`"succeeded":1`, `"succeeded":0`, `"2020-12-08T11:52:08Z"`, "null").Replace(runLine("running"))
	if got := importText(t, a.store, lines); got != imported(3) {
		t.Fatalf("%+v", got)
	}
	for _, test := range []struct {
		age     string
		removed int
		has     []string
		hasNot  []string
	}{
		{"1000000h", 0, []string{"old", "young", "running"}, nil},
		{"48h", 1, []string{"young", "running"}, []string{"old"}},
		{"48h", 0, []string{"young", "running"}, []string{"old"}},
		{"1s", 1, []string{"running"}, []string{"old", "young"}},
	} {
		if got := jobrund(t, "prune", "--older-than", test.age, "--store", a.store); got != removed(test.removed) {
			t.Errorf("older than %s: %+v, want %d", test.age, got, test.removed)
		}
		for _, id := range test.has {
			a.run(t, id)
		}
		for _, id := range test.hasNot {
			a.hasNot(t, id)
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
