package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
)

func refTo(id string) client.RunRef { return client.RunRef{Project: "p", Job: "j", Run: id} }

// outcome returns the outcome of the run as the API tells it.
func (a *api) outcome(t testing.TB, id string) *model.JobRunOutcome {
	t.Helper()
	outcome, _, err := a.GetJobRunOutcome(t.Context(), refTo(id))
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// why is what an outcome says, without its attempts; "" stands for null, and -1.
type why struct {
	reason, message string
	exitStatus      int
	signal          string
}

// whyOf returns what the outcome says, which is on this host.
func whyOf(t testing.TB, o *model.JobRunOutcome) why {
	t.Helper()
	w := why{exitStatus: -1}
	for from, to := range map[*string]*string{o.Reason: &w.reason, o.Message: &w.message, o.Signal: &w.signal} {
		if from != nil {
			*to = *from
		}
	}
	if o.ExitStatus != nil {
		w.exitStatus = *o.ExitStatus
	}
	host, err := os.Hostname()
	if err != nil || o.Host == nil || *o.Host != host {
		t.Errorf("recorded on %v, want %s (%v)", o.Host, host, err)
	}
	return w
}

// A run that was imported without an outcome has none that is known. With an outcome it comes back
// as it was.
func TestOutcomesAreImported(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	const outcome = `,"outcome":{"host":"web1","reason":"ExitStatus","message":"exit status 23","exitStatus":23,` +
		`"signal":null,"attempts":[]}}` + "\n"
	line := strings.Replace(runLine("r"), "}\n", outcome, 1)
	if got := importText(t, a.store, line+runLine("without")); got != imported(2) {
		t.Errorf("%+v", got)
	}
	if o := a.outcome(t, "r"); *o.Host != "web1" || *o.Reason != "ExitStatus" || *o.ExitStatus != 23 || o.Signal != nil {
		t.Errorf("%+v", o)
	}
	if o := a.outcome(t, "without"); o.Reason == nil || *o.Reason != "Unknown" || o.Host != nil || len(o.Attempts) != 0 {
		t.Errorf("imported without: %+v", o)
	}
	if _, _, err := a.GetJobRunOutcome(t.Context(), refTo("none")); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("no run: %v", err)
	}
	refused := importText(t, a.store, strings.Replace(line, `"exitStatus":23`, `"exitStatus":256`, 1))
	if refused.status != 1 || !strings.Contains(refused.stderr, "line 1: outcome.exitStatus") {
		t.Errorf("%+v", refused)
	}
}

// TestJobrunIsSmall measures jobrun while its command runs, and after it has passed on 100 MB.
func TestJobrunIsSmall(t *testing.T) {
	t.Parallel()
	a := newAPI(t, newStore(t))
	info, err := os.Stat(filepath.Join(programs, "jobrun"))
	if err != nil || info.Size() > 10_000_000 {
		t.Errorf("the program has %d bytes (%v)", info.Size(), err)
	}
	for _, test := range []struct {
		script string
		flags  []string
		most   int // MiB
	}{
		{"sleep 0.5", nil, 12},
		{"head -c 100000000 /dev/zero", []string{"--keep-output", "16KiB"}, 32},
	} {
		got := outcomeOf(t, recorded(t, a, test.script+"; grep VmRSS /proc/$PPID/status >&2", test.flags...))
		_, size, _ := strings.Cut(got.stderr, "VmRSS:")
		if kilobytes, err := strconv.Atoi(strings.Fields(size + " ?")[0]); err != nil || kilobytes > test.most<<10 {
			t.Errorf("%s: %s (%v)", test.script, got.stderr, err)
		}
	}
}

const logsPermission = "Project > Jobs > Deployment > View Instance Logs"

// wantPrinted checks that the log of a run of the job j has that line alone, from this host.
func wantPrinted(t testing.TB, c *client.Client, run, want string) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	ref := refTo(run)
	lines, _, err := c.GetJobLogs(t.Context(), client.JobRef{Project: ref.Project, Job: ref.Job}, client.JobLogsOptions{Run: run})
	if err != nil || len(lines) != 1 || lines[0].Log != want || lines[0].ContainerID != host ||
		time.Since(lines[0].TS).Abs() > time.Hour {
		t.Errorf("the log of run %s is %+v, %v; want %q from %s", run, lines, err, want, host)
	}
}

// logsToken returns a token that may read logs and runs.
func (a *api) logsToken(t testing.TB) string {
	t.Helper()
	return output(t, "jobrund", "token", "create", "--name", "logs", "--replace", "--store", a.store,
		"--permission", "Project > Jobs > General > Read", "--permission", logsPermission)
}
