package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/gen/spec"
	"github.com/jobruns/jobruns/server/jobrun"
)

// fakeRecorder notes reports and their times. respond returns the error for each; nil accepts all.
type fakeRecorder struct {
	mu      sync.Mutex
	began   time.Time
	at      []time.Duration
	reports []client.JobRunReport
	respond func(context.Context, client.JobRunReport) error
}

func (f *fakeRecorder) RecordJobRun(
	ctx context.Context, _ client.RunRef, report client.JobRunReport,
) (*client.JobRun, *client.Response, error) {
	f.mu.Lock()
	f.at, f.reports = append(f.at, time.Since(f.began)), append(f.reports, report)
	f.mu.Unlock()
	if f.respond != nil {
		return nil, nil, f.respond(ctx, report)
	}
	return nil, nil, nil
}

// reported runs a reporter while the command runs, in a bubble with its own time. It returns how long
// the reporter takes after the end of the command, and what it prints.
func reported(
	t *testing.T, f *fakeRecorder, folder string, during func(*reporter, *jobrun.Record, *signals),
) (took time.Duration, printed string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		f.began = time.Now()
		say := make(messages, 100)
		r := &reporter{
			times: defaultTimes, spool: spool{folder}, say: say, recorder: f,
			ref: client.RunRef{Project: "p", Job: "j", Run: "r"},
		}
		record := &jobrun.Record{Run: model.JobRun{ID: "r", RunName: "n", StartedAt: f.began}}
		record.Outcome = jobrun.NewOutcome("")
		signals := &signals{caught: make(chan os.Signal, 1)}
		r.begin(*record)
		during(r, record, signals)
		record.Conclude(time.Now(), true, jobrun.End{Reason: jobrun.ReasonCompleted})
		began := time.Now()
		r.finish(*record, nil, signals)
		took = time.Since(began)
		printed = printedBy(say)
		synctest.Wait()
	})
	return took, printed
}

// printedBy returns the messages that wait.
func printedBy(say messages) string {
	stderr := os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	os.Stderr = w
	for len(say) > 0 {
		(<-say)()
	}
	os.Stderr = stderr
	w.Close()
	text := make([]byte, 64<<10)
	n, _ := r.Read(text)
	return string(text[:n])
}

func TestShortRunNeedsOneReport(t *testing.T) {
	f := &fakeRecorder{}
	took, printed := reported(t, f, t.TempDir(), func(*reporter, *jobrun.Record, *signals) {
		time.Sleep(10 * time.Millisecond)
	})
	if len(f.reports) != 1 || f.reports[0].Conclusion == nil || took != 0 || printed != "jobrun: run r\n" {
		t.Errorf("%v %+v, after %v: %s", f.at, f.reports, took, printed)
	}
}

func TestRunReportsStartAttemptsHeartbeatsAndEnd(t *testing.T) {
	f := &fakeRecorder{}
	_, _ = reported(t, f, t.TempDir(), func(r *reporter, record *jobrun.Record, _ *signals) {
		time.Sleep(time.Second)
		record.AddAttempt(time.Now(), time.Now(), jobrun.End{Reason: "ExitStatus"})
		r.change(*record)
		time.Sleep(2 * time.Minute)
	})
	last := time.Duration(0)
	for i, at := range f.at {
		report := f.reports[i]
		if at-last > 30*time.Second || *report.HeartbeatTimeout != 120 || report.SentAt == nil ||
			*report.RunName != "n" {
			t.Errorf("report %d at %v: %+v", i, at, report)
		}
		if hasAttempts := report.Attempts != nil; hasAttempts != (i == 1 || i == len(f.at)-1) {
			t.Errorf("report %d has attempts: %t", i, hasAttempts)
		}
		last = at
	}
	if n := len(f.at); n < 7 || n > 9 || f.at[0] != 20*time.Millisecond || f.at[1] != time.Second ||
		f.reports[n-1].Conclusion == nil {
		t.Errorf("%v", f.at)
	}
}

func TestReporterWarnsOnce(t *testing.T) {
	denial := &client.Error{Status: 403, Message: "may not record"}
	for name, test := range map[string]struct {
		err   error
		lasts time.Duration // the error
		want  []string      // in each line
	}{
		"a moment":  {errors.New("refused"), 5 * time.Second, []string{"run r\n"}},
		"a minute":  {errors.New("refused"), time.Minute, []string{"not recorded yet: refused", "run r is recorded now"}},
		"no access": {denial, 5 * time.Second, []string{"not recorded yet: ", "run r is recorded now"}},
		"conflict":  {&client.Error{Status: 409, ID: "1"}, time.Hour, []string{"run r was rejected"}},
	} {
		f := &fakeRecorder{}
		f.respond = func(context.Context, client.JobRunReport) error {
			if time.Since(f.began) < test.lasts {
				return test.err
			}
			return nil
		}
		_, printed := reported(t, f, t.TempDir(), func(*reporter, *jobrun.Record, *signals) {
			time.Sleep(2 * time.Minute)
		})
		lines := strings.SplitAfter(printed, "\n")
		if len(lines) != len(test.want)+1 {
			t.Errorf("%s: %q", name, printed)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q, want %q", name, lines[i], want)
			}
		}
	}
}

func TestFinishStopsInTime(t *testing.T) {
	hang := func(ctx context.Context, _ client.JobRunReport) error { <-ctx.Done(); return ctx.Err() }
	slow := func(ctx context.Context, _ client.JobRunReport) error { time.Sleep(3 * time.Second); return nil }
	for name, test := range map[string]struct {
		respond func(context.Context, client.JobRunReport) error
		within  time.Duration
		signal  syscall.Signal // during the command
		after   time.Duration  // after the end of the command, until a signal; 0 for none
		took    time.Duration
		files   int
	}{
		"hangs":                    {hang, 0, 0, 0, 9 * time.Second, 1},
		"hangs, deliver within 5m": {hang, 5 * time.Minute, 0, 0, 5 * time.Minute, 1},
		"hangs, then a signal":     {hang, 5 * time.Minute, 0, 2 * time.Second, 3 * time.Second, 1},
		"slow":                     {slow, 0, 0, 0, 3250 * time.Millisecond, 0},
		"interrupted":              {hang, 0, syscall.SIGTERM, 0, 9 * time.Second, 1},
	} {
		folder := t.TempDir()
		f := &fakeRecorder{}
		f.respond = func(ctx context.Context, report client.JobRunReport) error {
			if report.Conclusion == nil { // its report is in flight when the command ends
				return hang(ctx, report)
			}
			if files, _ := os.ReadDir(folder); (len(files) > 0) != (test.signal != 0) && len(f.reports) == 2 {
				t.Errorf("%s: the spool has %v at the end of the command", name, files)
			}
			return test.respond(ctx, report)
		}
		took, printed := reported(t, f, folder, func(r *reporter, _ *jobrun.Record, s *signals) {
			r.deliver = max(r.deliver, test.within)
			time.Sleep(4 * time.Second)
			if s.asked = test.signal; test.after > 0 {
				time.AfterFunc(test.after, func() { s.caught <- syscall.SIGTERM })
			}
		})
		files, _ := os.ReadDir(folder)
		if took != test.took || len(files) != test.files ||
			strings.Contains(printed, "not recorded yet") != (test.files > 0) {
			t.Errorf("%s: %v, want %v; %d files: %s", name, took, test.took, len(files), printed)
		}
	}
}

func TestReportStaysWithinContract(t *testing.T) {
	record := jobrun.Record{Run: model.JobRun{RunName: "n"}, Outcome: jobrun.NewOutcome("a\nb")}
	for range 60 {
		end := jobrun.End{Reason: "ExitStatus", Message: "a\x00b" + strings.Repeat("<", 600)}
		record.AddAttempt(time.Now(), time.Now(), end)
	}
	record.Conclude(time.Now(), false, jobrun.End{Reason: "ExitStatus"})
	report := reportOf(record)
	var log []client.LogLine
	for range maxLines {
		log = append(log, client.LogLine{TS: time.Now().UTC(), Log: strings.Repeat("<", 100)})
	}
	last := strings.Repeat("<", maxLine)
	log[maxLines-1].Log = last
	addLog(&report, log)
	now := time.Now().UTC().Truncate(time.Second)
	report.SentAt = &now
	text, err := json.Marshal(report)
	if err != nil || len(text) > maxBody || len(text) < maxBody-1000 || len(*report.Attempts) != jobrun.MaxAttempts {
		t.Errorf("%d bytes, %d attempts, %v", len(text), len(*report.Attempts), err)
	}
	var value any
	doc, docErr := spec.GetSpec()
	if err := errors.Join(docErr, json.Unmarshal(text, &value)); err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas["JobRunReport"].Value.VisitJSON(value); err != nil {
		t.Error(err)
	}
	if kept := *report.Log; kept[len(kept)-1].Log != last {
		t.Errorf("the last line has %d characters", len(kept[len(kept)-1].Log))
	}
}
