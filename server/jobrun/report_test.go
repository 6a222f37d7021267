package jobrun

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobruns/jobruns/gen/model"
)

var reportedAt = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newRecord() Record {
	return Record{Team: "t", Project: "p", Job: "j", Run: model.JobRun{ID: "r"}}
}

func concluded(status int) *model.JobRunConclusion {
	return &model.JobRunConclusion{Succeeded: status == 0, ExitStatus: &status, ConcludedAt: new(reportedAt.Add(-time.Second))}
}

// lose concludes the record's run as a server does that hears nothing.
func lose(r *Record) {
	r.Conclude(reportedAt, false, End{Reason: ReasonRecorderLost, Message: "lost"})
}

func TestApplyMergesInAnyOrder(t *testing.T) {
	start := reportedAt.Add(-time.Hour)
	attempt := model.JobRunAttemptReport{Number: 1, StartedAt: start, ConcludedAt: start.Add(time.Minute), Reason: "ExitStatus"}
	reports := []model.JobRunReport{
		{RunName: new("n"), StartedAt: &start, HeartbeatTimeout: new(120), Host: new("h")},
		{RunName: new("n"), StartedAt: &start, HeartbeatTimeout: new(120), Host: new("h"),
			BackoffLimit: new(2), Completions: new(1), Attempts: &[]model.JobRunAttemptReport{attempt}},
		{RunName: new("n"), StartedAt: &start, Completions: new(2), Conclusion: concluded(3),
			Log: &[]model.LogLine{{TS: start, Log: "x"}}},
	}
	apply := func(rt *rapid.T, order []int) Record {
		r := newRecord()
		for i, n := range order {
			if err := r.Apply(reports[n], reportedAt.Add(time.Duration(i)*time.Minute)); err != nil {
				rt.Fatal(err)
			}
			if i == 0 && rapid.Bool().Draw(rt, "lost") && r.Run.ConcludedAt == nil {
				lose(&r)
			}
		}
		return r
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := apply(rt, []int{0, 1, 2})
		order := append(rapid.Permutation([]int{0, 1, 2}).Draw(rt, "order"),
			rapid.SliceOf(rapid.IntRange(0, 2)).Draw(rt, "repeated")...)
		got := apply(rt, order)
		want.HeartbeatTimeout, got.HeartbeatTimeout = 0, 0 // it has no effect on a concluded run
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("order %v (-want +got):\n%s", order, diff)
		}
	})
}

func TestApplyKeepsAConclusion(t *testing.T) {
	for name, test := range map[string]struct {
		second model.JobRunReport
		says   string // "" if the report is accepted
	}{
		"the same conclusion": {model.JobRunReport{Conclusion: concluded(3)}, ""},
		"a later time":        {model.JobRunReport{Conclusion: &model.JobRunConclusion{ExitStatus: new(3)}}, ""},
		"no conclusion":       {model.JobRunReport{HeartbeatTimeout: new(10)}, ""},
		"another exit status": {model.JobRunReport{Conclusion: concluded(4)}, "another conclusion: FAILED at 2026-11-29T11:59:59Z, reason ExitStatus, exit status 3"},
		"success":             {model.JobRunReport{Conclusion: concluded(0)}, "another conclusion"},
		"another reason":      {model.JobRunReport{Conclusion: &model.JobRunConclusion{ExitStatus: new(3), Reason: new("OOMKilled")}}, "another conclusion"},
		"another name":        {model.JobRunReport{RunName: new("other")}, `with the name "r"`},
		"the server's reason": {model.JobRunReport{Conclusion: &model.JobRunConclusion{Reason: new(ReasonRecorderLost)}}, "the server's own"},
	} {
		r := newRecord()
		if err := r.Apply(model.JobRunReport{Conclusion: concluded(3)}, reportedAt); err != nil {
			t.Fatal(err)
		}
		before := r
		err := r.Apply(test.second, reportedAt.Add(time.Hour))
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		before.HeartbeatTimeout = r.HeartbeatTimeout
		if diff := cmp.Diff(before, r); diff != "" {
			t.Errorf("%s changes the run:\n%s", name, diff)
		}
	}
}

func TestApplyRefusesARunOfAnotherSource(t *testing.T) {
	r := newRecord()
	r.Source, r.Run.RunName = "cluster", "r"
	if err := r.Apply(model.JobRunReport{}, reportedAt); !errors.Is(err, ErrConflict) {
		t.Errorf("%v", err)
	}
}

func TestApplyReopensALostRun(t *testing.T) {
	r := newRecord()
	for range 2 {
		if err := r.Apply(model.JobRunReport{HeartbeatTimeout: new(10)}, reportedAt); err != nil || r.Run.Concluded {
			t.Fatalf("%v, %+v", err, r.Run)
		}
		lose(&r)
	}
	if err := r.Apply(model.JobRunReport{Conclusion: concluded(0)}, reportedAt); err != nil ||
		r.Run.Status != model.JobRunStatusSuccess || *r.Outcome.Reason != ReasonCompleted {
		t.Errorf("%v, %+v, %+v", err, r.Run, r.Outcome)
	}
}

func TestApplySetsTimes(t *testing.T) {
	at := func(d time.Duration) *time.Time { return new(reportedAt.Add(d)) }
	for name, test := range map[string]struct {
		report            model.JobRunReport
		start, conclusion time.Duration // from the report's arrival
	}{
		"no times":              {model.JobRunReport{}, 0, 0},
		"a start":               {model.JobRunReport{StartedAt: at(-time.Hour)}, -time.Hour, 0},
		"only a conclusion":     {model.JobRunReport{Conclusion: &model.JobRunConclusion{ConcludedAt: at(-time.Hour)}}, -time.Hour, -time.Hour},
		"a start in the future": {model.JobRunReport{StartedAt: at(time.Hour)}, 0, 0},
		"a clock that is slow": {model.JobRunReport{SentAt: at(-time.Hour), StartedAt: at(-2 * time.Hour),
			Conclusion: &model.JobRunConclusion{ConcludedAt: at(-time.Hour)}}, -time.Hour, 0},
		"a clock that is fast": {model.JobRunReport{SentAt: at(time.Hour), StartedAt: at(30 * time.Minute),
			Conclusion: &model.JobRunConclusion{ConcludedAt: at(40 * time.Minute)}}, -30 * time.Minute, -20 * time.Minute},
		"a clock that is nearly right": {model.JobRunReport{SentAt: at(-59 * time.Second), StartedAt: at(-time.Hour)}, -time.Hour, 0},
		"a conclusion before the start": {model.JobRunReport{StartedAt: at(-time.Minute),
			Conclusion: &model.JobRunConclusion{ConcludedAt: at(-time.Hour)}}, -time.Minute, -time.Minute},
		"a year outside of the contract": {model.JobRunReport{SentAt: new(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
			StartedAt: new(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))}, time.Unix(0, 0).Sub(reportedAt), 0},
	} {
		r := newRecord()
		if err := r.Apply(test.report, reportedAt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := reportedAt.Add(test.start); !r.Run.StartedAt.Equal(want) {
			t.Errorf("%s: started at %s, want %s", name, r.Run.StartedAt, want)
		}
		if c := r.Run.ConcludedAt; c != nil && !c.Equal(reportedAt.Add(test.conclusion)) {
			t.Errorf("%s: concluded at %s", name, c)
		}
	}
}

func TestApplyKeepsTheTimesOfALogWithinTheContract(t *testing.T) {
	for name, test := range map[string]struct{ sentAt, printed, want time.Time }{
		"the past":   {reportedAt, reportedAt.Add(-1500 * time.Millisecond), reportedAt.Add(-1500 * time.Millisecond)},
		"the future": {reportedAt, reportedAt.Add(time.Hour), reportedAt},
		"a year after 9999": {
			time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), reportedAt,
		},
		"a year before 0": {
			time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, 0).UTC(),
		},
	} {
		r := newRecord()
		report := model.JobRunReport{SentAt: &test.sentAt, Log: &[]model.LogLine{{TS: test.printed, Log: "x"}}}
		if err := r.Apply(report, reportedAt); err != nil || !r.Log[0].TS.Equal(test.want) {
			t.Errorf("%s: %v, %v; want %s", name, err, r.Log, test.want)
		}
	}
}

func TestAttemptDoesNotConcludeBeforeItStarted(t *testing.T) {
	reported, recorded := newRecord(), newRecord()
	attempt := model.JobRunAttemptReport{
		Number: 1, StartedAt: reportedAt.Add(-time.Minute), ConcludedAt: reportedAt.Add(-time.Hour), Reason: "A"}
	report := model.JobRunReport{Attempts: &[]model.JobRunAttemptReport{attempt}}
	if err := reported.Apply(report, reportedAt); err != nil {
		t.Fatal(err)
	}
	recorded.AddAttempt(attempt.StartedAt, attempt.ConcludedAt, End{Reason: "A"})
	for _, r := range []Record{reported, recorded} {
		if a := r.Outcome.Attempts[0]; a.ConcludedAt != attempt.StartedAt {
			t.Errorf("%+v, want an attempt of no length", a)
		}
	}
}
