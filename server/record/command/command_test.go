package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// runShell runs a shell script as a command and returns what was recorded and warned of.
func runShell(t *testing.T, backoffLimit int, args ...string) (status int, recorded []jobrun.Record, warnings []error) {
	t.Helper()
	c := Command{
		Args: args, Team: "t", Project: "p", Job: "j", BackoffLimit: backoffLimit,
		Record: func(r jobrun.Record) { recorded = append(recorded, r) },
		Warn:   func(err error) { warnings = append(warnings, err) },
		Finish: func(context.Context) {},
	}
	status, err := c.Run()
	if err != nil {
		t.Fatal(err)
	}
	return status, recorded, warnings
}

func TestStatuses(t *testing.T) {
	noInterpreter := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(noInterpreter, []byte("#!/nowhere/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args            []string
		want            int
		warnings        int
		reason, message string
	}{
		{[]string{"true"}, 0, 0, "Completed", "exit status 0"},
		{[]string{"sh", "-c", "exit 3"}, 3, 0, "ExitStatus", "exit status 3"},
		{[]string{"sh", "-c", "exit 255"}, 255, 0, "ExitStatus", "exit status 255"},
		{[]string{"sh", "-c", "kill -9 $$"}, 137, 0, "Signal", "killed by signal 9 (KILL)"},
		{[]string{"sh", "-c", "kill -15 $$"}, 143, 0, "Signal", "killed by signal 15 (TERM)"},
		{[]string{"no-such-command"}, 127, 1, "NotFound", `exec: "no-such-command": executable file not found in $PATH`},
		{[]string{"/no/such/command"}, 127, 1, "NotFound", `exec: "/no/such/command": executable file not found in $PATH`},
		{[]string{noInterpreter}, 127, 1, "NotFound", "fork/exec " + noInterpreter + ": no such file or directory"},
		{[]string{"/etc/passwd"}, 126, 1, "NotExecutable", "fork/exec /etc/passwd: permission denied"},
		{[]string{"/etc"}, 126, 1, "NotExecutable", "fork/exec /etc: permission denied"},
	} {
		status, recorded, warnings := runShell(t, 0, test.args...)
		if status != test.want || len(warnings) != test.warnings {
			t.Errorf("%q: status %d, %v; want %d and %d warnings", test.args, status, warnings, test.want,
				test.warnings)
		}
		wantOutcome(t, recorded[len(recorded)-1], test.reason, test.message, test.want)
		wantStatus := model.JobRunStatusFailed
		if test.want == 0 {
			wantStatus = model.JobRunStatusSuccess
		}
		if last := recorded[len(recorded)-1].Run; last.Status != wantStatus || last.Completions != 1 {
			t.Errorf("%q: recorded %+v", test.args, last)
		}
	}
}

// wantOutcome checks the outcome of a run with one attempt, of which that is the exit status that a
// shell gives it.
func wantOutcome(t *testing.T, r jobrun.Record, reason, message string, status int) {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := &model.JobRunOutcome{Reason: &reason, Message: &message, ExitStatus: &status, Host: &name}
	if reason == jobrun.ReasonSignal {
		signal := regexp.MustCompile(`\((.*)\)`).FindStringSubmatch(message)[1]
		want.Signal, want.ExitStatus = &signal, nil
	}
	want.Attempts = []model.JobRunAttempt{{
		Number: 1, StartedAt: r.Run.StartedAt, ConcludedAt: *r.Run.ConcludedAt,
		Reason: reason, Message: message, ExitStatus: want.ExitStatus, Signal: want.Signal,
	}}
	within := cmpopts.EquateApproxTime(time.Minute)
	if diff := cmp.Diff(want, r.Outcome, within); diff != "" {
		t.Errorf("the outcome (-want +got):\n%s", diff)
	}
}

// While a run goes on, its outcome tells of the attempts that have ended.
func TestOutcomeTellsOfEndedAttempts(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	_, recorded, _ := runShell(t, 5, "sh", "-c", `echo x >> "$0"; exit $(wc -l < "$0")`, count)
	for i, r := range recorded {
		if o := r.Outcome; o.Host == nil || (o.Reason != nil) != r.Run.Concluded || len(o.Attempts) != min(i, 6) {
			t.Errorf("state %d: %+v", i, o)
		}
		for j, a := range r.Outcome.Attempts {
			if a.Number != j+1 || a.ExitStatus == nil || *a.ExitStatus != j+1 {
				t.Errorf("state %d, attempt %d: %+v", i, j, a)
			}
		}
	}
	if last := recorded[len(recorded)-1].Outcome; *last.ExitStatus != 6 || *last.Message != "exit status 6" {
		t.Errorf("in the end: %+v", last)
	}
}

func TestSignalNames(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{1: "HUP", 9: "KILL", 32: "32", 34: "RTMIN", 64: "RTMIN+30"} {
		if got := signalName(sig); got != want {
			t.Errorf("signal %d: %s, want %s", sig, got, want)
		}
	}
}

// TestStates runs a command that fails until its third attempt.
func TestStates(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	script := `echo x >> "$0"; test $(wc -l < "$0") -ge 3`
	before := time.Now().UTC().Truncate(time.Second)
	status, recorded, warnings := runShell(t, 5, "sh", "-c", script, count)
	if status != 0 || len(warnings) != 0 {
		t.Fatalf("status %d, %v", status, warnings)
	}
	first, end := recorded[0].Run, recorded[len(recorded)-1].Run.ConcludedAt
	running := func(completions int) jobrun.Record {
		return jobrun.Record{Team: "t", Project: "p", Job: "j", Leased: true, Run: model.JobRun{
			ID: first.ID, RunName: first.RunName, Active: model.FlagYes, BackoffLimit: 5, Completions: completions,
			Status: model.JobRunStatusRunning, StartedAt: first.StartedAt,
		}}
	}
	succeeded := running(3)
	succeeded.Run.Active, succeeded.Run.Succeeded, succeeded.Run.Status = model.FlagNo, model.FlagYes, model.JobRunStatusSuccess
	succeeded.Run.Concluded, succeeded.Run.ConcludedAt = true, end
	if diff := cmp.Diff([]jobrun.Record{running(0), running(1), running(2), succeeded}, recorded,
		cmpopts.IgnoreFields(jobrun.Record{}, "Outcome")); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(first.ID) {
		t.Errorf("the id is %q", first.ID)
	}
	if !regexp.MustCompile(`^j-[0-9a-f]{24}$`).MatchString(first.RunName) {
		t.Errorf("the run name is %q", first.RunName)
	}
	after := time.Now().UTC()
	if first.StartedAt.Before(before) || end.Before(first.StartedAt) || end.After(after) {
		t.Errorf("started at %s, concluded at %s, between %s and %s", first.StartedAt, end, before, after)
	}
}

func TestBackoffLimitBoundsTheAttempts(t *testing.T) {
	for limit := range 3 {
		status, recorded, _ := runShell(t, limit, "sh", "-c", "exit 9")
		last := recorded[len(recorded)-1].Run
		want := model.JobRun{
			BackoffLimit: limit,
			Completions:  limit + 1,
			Concluded:    true,
			Failed:       model.FlagYes,
			Status:       model.JobRunStatusFailed,
		}
		ignored := cmpopts.IgnoreFields(model.JobRun{}, "ID", "RunName", "StartedAt", "ConcludedAt")
		if diff := cmp.Diff(want, last, ignored); status != 9 || diff != "" {
			t.Errorf("limit %d: status %d, run (-want +got):\n%s", limit, status, diff)
		}
	}
}

func TestDelays(t *testing.T) {
	for first, want := range map[time.Duration][]time.Duration{
		0:                {0, 0, 0},
		10 * time.Second: {10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 6 * time.Minute, 6 * time.Minute},
		time.Hour:        {6 * time.Minute, 6 * time.Minute},
		math.MaxInt64:    {6 * time.Minute, 6 * time.Minute},
	} {
		var got []time.Duration
		for delay := range delays(first) {
			if got = append(got, delay); len(got) == len(want) {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", first, diff)
		}
	}
}

func TestSteadyClockCountsTimeAsleep(t *testing.T) {
	awake := time.Hour
	now := steadyClock(func() time.Duration { return awake })
	before := now()
	awake += 8*time.Hour + 8*time.Second // as after eight hours asleep
	if took := now().Sub(before); took != 8*time.Hour+8*time.Second {
		t.Errorf("it counts %s", took)
	}
}

// TestSinceBootCountsTimeAsleep compares with the kernel, which counts it too (proc_uptime(5)).
func TestSinceBootCountsTimeAsleep(t *testing.T) {
	text, err := os.ReadFile("/proc/uptime")
	if errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("CI") == "true" {
			t.Fatal("no /proc/uptime")
		}
		t.Skip("needs Linux")
	}
	if err != nil {
		t.Fatal(err)
	}
	var uptime float64
	if _, err := fmt.Sscan(string(text), &uptime); err != nil {
		t.Fatal(err)
	}
	if got := sinceBoot().Seconds(); got < uptime-0.01 || got > uptime+60 {
		t.Errorf("%f s since boot, the kernel says %f s", got, uptime)
	}
}

func TestNamesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for i := range 100 {
		suffix := nameSuffix()
		if seen[suffix] {
			t.Fatal("the same suffix again after " + strconv.Itoa(i))
		}
		seen[suffix] = true
	}
}
