package storetest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/gen/spec"
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
	got, err := s.Run(t.Context(), want.Key())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(&want.Run, got); diff != "" {
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
			Put(t, s, want)
			WantRun(t, s, want)
			WantRun(t, on.reopen(t, url), want)
		})
	}
	s, _ := on.open(t)
	fraction := concludedAt.Add(999 * time.Millisecond).In(time.FixedZone("elsewhere", 3600))
	Put(t, s, Record(func(r *jobrun.Record) { r.Run.ConcludedAt = &fraction }))
	WantRun(t, s, Record())
}

func testRunIsFoundByItsWholeKeyOnly(t *testing.T, on subject) {
	s, _ := on.open(t)
	Put(t, s, Record())
	for _, k := range []jobrun.Key{
		{Team: "other", Project: "default-project", Job: "example-job", Run: "d34582a4"},
		{Team: "default", Project: "other", Job: "example-job", Run: "d34582a4"},
		{Team: "default", Project: "default-project", Job: "other", Run: "d34582a4"},
		{Team: "default", Project: "default-project", Job: "example-job", Run: "D34582A4"},
		{},
	} {
		if _, err := s.Run(t.Context(), k); !errors.Is(err, jobrun.ErrNotFound) {
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
	"runName: must not have the character U+202E":  func(r *jobrun.Record) { r.Run.RunName = "a\u202eb" },
	"outcome.host": func(r *jobrun.Record) {
		r.Outcome = jobrun.NewOutcome(strings.Repeat("h", 253))
		r.Conclude(concludedAt, true, exited(0))
		*r.Outcome.Host += "h"
	},
}

func testPutRunNamesTheRule(t *testing.T, on subject) {
	s, _ := on.open(t)
	for rule, change := range outside {
		err := s.PutRun(t.Context(), Record(change))
		if !errors.Is(err, jobrun.ErrInvalid) || !strings.Contains(err.Error(), rule) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
}

// values are some that a column may have, or not.
var values = []any{
	nil, "", "0", "a", "A.b_c-1", "-a", "a-", ".a", "a b", "a/b", "a%", "ä", "a\n", "\x00", "a\x00", "a\x00b", "\x01", "\x1f",
	"\x7f", "\u0080", "\u2028", "\xff", "😀", []byte("a"), strings.Repeat("a", 253), strings.Repeat("a", 254),
	strings.Repeat("é", 512), strings.Repeat("😀", 512), strings.Repeat("a", 512), strings.Repeat("a", 513),
	"SUCCESS", "RUNNING", "FAILED", "success", "SUCCESS ", 0, 1, 2, -1, 0.5, 1e300, math.MaxInt32 + 1, math.MaxInt64,
	math.MinInt64, -62167219200, -62167219201, 253402300799, 253402300800, true,
}

// testNoRowBreaksTheContract writes values into each column of a run that becomes part of a response,
// past the store: the database refuses the row, or the contract allows the run.
func testNoRowBreaksTheContract(t *testing.T, on subject) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	obeys := func(schema string, value any) error {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		var decoded any
		if err := json.Unmarshal(text, &decoded); err != nil {
			return err
		}
		return doc.Components.Schemas[schema].Value.VisitJSON(decoded)
	}
	s, _ := on.open(t)
	for _, base := range []jobrun.Record{Record(), Running()} {
		for _, column := range []string{
			"team", "project", "job", "id", "active", "backoff_limit", "completions", "concluded", "failed", "run_name",
			"status", "succeeded", "started_at", "concluded_at",
		} {
			refused := 0
			Put(t, s, base)
			for _, value := range values {
				if _, err := s.DB().ExecContext(t.Context(), "UPDATE runs SET "+column+" = $1", value); err != nil {
					refused++
					continue
				}
				var key jobrun.Key
				if err := s.DB().QueryRowContext(t.Context(), "SELECT team, project, job, id FROM runs").
					Scan(&key.Team, &key.Project, &key.Job, &key.Run); err != nil {
					t.Fatal(err)
				}
				run, err := s.Run(t.Context(), key)
				if err := cmp.Or(err, obeys("JobRun", run), obeys("ID", key.Team), obeys("ID", key.Project),
					obeys("ID", key.Job)); err != nil {
					t.Errorf("%s = %#v: %v", column, value, err)
				}
				Exec(t, s, "DELETE FROM runs")
				Put(t, s, base)
			}
			if refused == 0 || refused == len(values) && base.Run.Concluded {
				t.Errorf("%s: %d of %d values are refused", column, refused, len(values))
			}
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
