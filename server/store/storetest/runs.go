package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

var (
	started     = time.Date(2020, 12, 8, 11, 47, 8, 0, time.UTC)
	concludedAt = started.Add(5 * time.Minute)
)

// Record returns a record that the contract allows, with the changes.
func Record(change ...func(*jobrun.Record)) jobrun.Record {
	r := jobrun.Record{Team: "default", Project: "default-project", Job: "example-job", Run: model.JobRun{
		ID: "d34582a4", Completions: 1, Concluded: true, RunName: "example-job-5fcf", Status: model.JobRunStatusSuccess,
		Succeeded: model.FlagYes, StartedAt: started, ConcludedAt: &concludedAt,
	}}
	for _, c := range change {
		c(&r)
	}
	return r
}

// WantRun checks that the store has the record's run as it is.
func WantRun(t *testing.T, s *Store, want jobrun.Record) {
	t.Helper()
	got, _, err := s.Run(t.Context(), want.Key())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want.Run, got); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
}

func testRunComesBackAsStored(t *testing.T, on subject) {
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, want := range map[string]jobrun.Record{
		"succeeded": Record(),
		"the documented example": Record(func(r *jobrun.Record) {
			r.Run.Succeeded = model.FlagNo
		}),
		"running": Record(func(r *jobrun.Record) {
			r.Run = model.JobRun{ID: "x", Active: model.FlagYes, BackoffLimit: 6, RunName: "ü", Status: model.JobRunStatusRunning, StartedAt: started}
		}),
		"failed": Record(func(r *jobrun.Record) {
			r.Run.Status, r.Run.Failed, r.Run.Succeeded = model.JobRunStatusFailed, model.FlagYes, model.FlagNo
		}),
		"extremes": Record(func(r *jobrun.Record) {
			r.Team, r.Run.ID = "a", strings.Repeat("Z", 253)
			r.Run.RunName = strings.Repeat("é", 512)
			r.Run.BackoffLimit, r.Run.Completions = math.MaxInt, math.MaxInt
			r.Run.StartedAt, r.Run.ConcludedAt = first, &last
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s, url := on.open(t)
			if err := s.PutRun(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			WantRun(t, s, want)
			WantRun(t, on.reopen(t, url), want)
		})
	}
}

func testPutRunReplaces(t *testing.T, on subject) {
	s, _ := on.open(t)
	running := Record(func(r *jobrun.Record) {
		r.Run = model.JobRun{
			ID:        r.Run.ID,
			Active:    model.FlagYes,
			RunName:   "n",
			Status:    model.JobRunStatusRunning,
			StartedAt: started,
		}
	})
	for _, r := range []jobrun.Record{running, Record()} {
		if err := s.PutRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		WantRun(t, s, r)
	}
}

func testFractionsOfSecondsAreDropped(t *testing.T, on subject) {
	s, _ := on.open(t)
	fraction := concludedAt.Add(999 * time.Millisecond).In(time.FixedZone("elsewhere", 3600))
	if err := s.PutRun(t.Context(), Record(func(r *jobrun.Record) { r.Run.ConcludedAt = &fraction })); err != nil {
		t.Fatal(err)
	}
	WantRun(t, s, Record())
}

func testRunIsFoundByItsWholeKeyOnly(t *testing.T, on subject) {
	s, _ := on.open(t)
	if err := s.PutRun(t.Context(), Record()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []jobrun.Key{
		{Team: "other", Project: "default-project", Job: "example-job", Run: "d34582a4"},
		{Team: "default", Project: "other", Job: "example-job", Run: "d34582a4"},
		{Team: "default", Project: "default-project", Job: "other", Run: "d34582a4"},
		{Team: "default", Project: "default-project", Job: "example-job", Run: "D34582A4"},
		{},
	} {
		if _, _, err := s.Run(t.Context(), k); !errors.Is(err, jobrun.ErrNotFound) {
			t.Errorf("%v: %v, want ErrNotFound", k, err)
		}
	}
}

// outside are changes that break the contract, by the name of the constraint that they break.
var outside = map[string]func(*jobrun.Record){
	"teamId pattern":       func(r *jobrun.Record) { r.Team = "" },
	"projectId pattern":    func(r *jobrun.Record) { r.Project = "a/b" },
	"jobId pattern":        func(r *jobrun.Record) { r.Job = ".job" },
	"id pattern":           func(r *jobrun.Record) { r.Run.ID = strings.Repeat("a", 254) },
	"active enum":          func(r *jobrun.Record) { r.Run.Active = 2 },
	"backoffLimit minimum": func(r *jobrun.Record) { r.Run.BackoffLimit = -1 },
	"completions minimum":  func(r *jobrun.Record) { r.Run.Completions = -1 },
	"failed enum":          func(r *jobrun.Record) { r.Run.Failed = -1 },
	"runName pattern":      func(r *jobrun.Record) { r.Run.RunName = "a\x01b" },
	"status enum":          func(r *jobrun.Record) { r.Run.Status = "success" },
	"succeeded enum":       func(r *jobrun.Record) { r.Run.Succeeded = 7 },
	"startedAt year":       func(r *jobrun.Record) { r.Run.StartedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	"concludedAt year": func(r *jobrun.Record) {
		early := time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC)
		r.Run.ConcludedAt = &early
	},
	"concludedAt is null while concluded is false": func(r *jobrun.Record) { r.Run.ConcludedAt = nil },
}

func testSchemaRefusesWhatTheContractDoesNotAllow(t *testing.T, on subject) {
	s, _ := on.open(t)
	for rule, change := range outside {
		err := s.PutRun(t.Context(), Record(change))
		if err == nil || !strings.Contains(err.Error(), rule) || errors.Is(err, jobrun.ErrUnavailable) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	for _, id := range []string{"-a", "a-", "_a", "a.", "a b", "a%", "ä", "a\n", "a\x00", "*", "[", "..", "."} {
		if err := s.PutRun(t.Context(), Record(func(r *jobrun.Record) { r.Run.ID = id })); err == nil {
			t.Errorf("the id %q was stored", id)
		}
	}
	for _, name := range []string{"", "\x00", "a\x00b", "\x01", "a\nb", "\x1b[0m", "\x7f", "\u009b2J", "a\u202eb", strings.Repeat("é", 513)} {
		if err := s.PutRun(t.Context(), Record(func(r *jobrun.Record) { r.Run.RunName = name })); err == nil {
			t.Errorf("the run name %q was stored", name)
		}
	}
}

func testClosedStoreIsUnavailable(t *testing.T, on subject) {
	s, _ := on.open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, runErr := s.Run(t.Context(), Record().Key())
	_, tokenErr := s.Token(t.Context(), jobrun.TokenHash{})
	_, tokensErr := s.Tokens(t.Context())
	_, outcomeErr := s.Outcome(t.Context(), Record().Key())
	_, pruneErr := s.Prune(t.Context(), time.Now())
	for call, err := range map[string]error{
		"Run": runErr, "Token": tokenErr, "Tokens": tokensErr, "Prune": pruneErr, "Outcome": outcomeErr,
		"PutRun":      s.PutRun(t.Context(), Record()),
		"ImportRuns":  s.ImportRuns(t.Context(), sequence(1, nil)),
		"CreateToken": s.CreateToken(t.Context(), jobrun.TokenHash{}, jobrun.Token{Name: "a", Teams: []string{"x"}}),
		"RevokeToken": s.RevokeToken(t.Context(), "a"),
		"Ready":       s.Ready(t.Context()),
	} {
		if !errors.Is(err, jobrun.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", call, err)
		}
	}
}

func testManyOpenANewStoreAtOnce(t *testing.T, on subject) {
	url := on.newURL(t)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			s, err := store.Open(t.Context(), url, on.engine)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.PutRun(t.Context(), Record(func(r *jobrun.Record) { r.Run.ID = fmt.Sprint(i) })); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, on.reopen(t, url)); n != 10 {
		t.Errorf("%d runs, want 10", n)
	}
}
