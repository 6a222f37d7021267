package server_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
)

// anyRun draws runs of every shape: those that the contract allows, and those of which up to two
// fields are anything.
func anyRun() *rapid.Generator[model.JobRun] {
	const second, earliest, latest = int64(time.Second), -62167219200, 253402300799
	id := rapid.StringMatching(`[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?`)
	name := rapid.OneOf(rapid.StringMatching(`[ -~]{1,512}`), rapid.StringMatching(`\PC{1,40}`))
	text := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "\xff\x00", strings.Repeat("é", 300), strings.Repeat("a", 600)}),
	)
	flag := rapid.IntRange(0, 1)
	count := rapid.OneOf(rapid.IntRange(0, 9), rapid.IntRange(0, math.MaxInt32))
	number := rapid.OneOf(rapid.Int(), rapid.SampledFrom([]int{-1, 2, math.MinInt, math.MaxInt}))
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(earliest, latest).Draw(t, "at"), 0).UTC()
	})
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		at := rapid.OneOf(
			rapid.Int64(),
			rapid.SampledFrom([]int64{earliest - 1, earliest, latest, latest + 1}),
		).Draw(
			t,
			"at",
		)
		zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("", 3600)}).Draw(t, "zone")
		return time.Unix(at, rapid.Int64Range(0, second-1).Draw(t, "nanosecond")).In(zone)
	})
	return rapid.Custom(func(t *rapid.T) model.JobRun {
		run := model.JobRun{
			ID:           id.Draw(t, "id"),
			Active:       model.Flag(flag.Draw(t, "active")),
			BackoffLimit: count.Draw(t, "backoffLimit"),
			Completions:  count.Draw(t, "completions"),
			Concluded:    rapid.Bool().Draw(t, "concluded"),
			Failed:       model.Flag(flag.Draw(t, "failed")),
			RunName:      name.Draw(t, "runName"),
			Status: rapid.SampledFrom(
				[]model.JobRunStatus{model.JobRunStatusSuccess, model.JobRunStatusRunning, model.JobRunStatusFailed},
			).Draw(
				t,
				"status",
			),
			Succeeded:   model.Flag(flag.Draw(t, "succeeded")),
			StartedAt:   when.Draw(t, "startedAt"),
			ConcludedAt: rapid.Ptr(when, true).Draw(t, "concludedAt"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "fields that are anything") {
			rapid.SampledFrom([]func(){
				func() { run.ID = text.Draw(t, "any id") },
				func() { run.Active = model.Flag(number.Draw(t, "any active")) },
				func() { run.BackoffLimit = number.Draw(t, "any backoffLimit") },
				func() { run.Completions = number.Draw(t, "any completions") },
				func() { run.Failed = model.Flag(number.Draw(t, "any failed")) },
				func() { run.RunName = text.Draw(t, "any runName") },
				func() { run.Status = model.JobRunStatus(text.Draw(t, "any status")) },
				func() { run.Succeeded = model.Flag(number.Draw(t, "any succeeded")) },
				func() { run.StartedAt = instant.Draw(t, "any startedAt") },
				func() { run.ConcludedAt = new(instant.Draw(t, "any concludedAt")) },
			}).Draw(t, "field")()
		}
		return run
	})
}

// TestAnyRun checks that whatever a store has is answered as the document says, which send checks
// of every response: with the run where the contract allows it, or else with 500 and the reason in
// the log, and the same when it is asked again.
func TestAnyRun(t *testing.T) {
	a, secret := newFilledAPI(t)
	handler, err := server.New(a.store, a.logger, server.Options{Memory: 1})
	if err != nil {
		t.Fatal(err)
	}
	a.handler = handler
	schema := document(t).Components.Schemas["JobRunResult"].Value
	seen := map[int]int{}
	rapid.Check(t, func(rt *rapid.T) {
		run := anyRun().Draw(rt, "run")
		key := exampleKey
		key.Run = fmt.Sprint(len(a.store.runs)) // what is kept of another is none of its business
		a.store.runs[key] = run
		want := http.StatusOK
		if text, err := json.Marshal(model.JobRunResult{Data: run}); err != nil || validJSON(schema, text) != nil {
			want = http.StatusInternalServerError
		}
		seen[want]++
		for range 2 {
			got := a.get(runPath(t, key), secret)
			if got.status != want {
				rt.Fatalf("the status is %d, want %d: %s", got.status, want, got.body)
			}
			if want == http.StatusInternalServerError &&
				!strings.Contains(fmt.Sprint(got.log), "the response breaks the contract: ") {
				rt.Fatalf("the log does not say why: %+v", got.log)
			}
		}
	})
	if seen[http.StatusOK] == 0 || seen[http.StatusInternalServerError] == 0 {
		t.Errorf("seen %v: runs of one kind are missing", seen)
	}
}

func validJSON(schema *openapi3.Schema, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	return schema.VisitJSON(value)
}

// TestBrokenRun checks what the log says of a run that the contract does not allow, and that a run
// is not held back for a reason that the contract does not give.
func TestBrokenRun(t *testing.T) {
	conclusion := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		change func(*model.JobRun)
		want   string // what the log says; "" where the run is answered
	}{
		{"a newer version's status", func(r *model.JobRun) { r.Status = "CANCELLED" }, `data.status: value is not one of the allowed values`},
		{"a negative count", func(r *model.JobRun) { r.Completions = -1 }, "data.completions: number must be at least 0"},
		{"a flag of 2", func(r *model.JobRun) { r.Failed = 2 }, "data.failed: value is not one of the allowed values"},
		{"an empty name", func(r *model.JobRun) { r.RunName = "" }, "data.runName: minimum string length is 1"},
		{"a name with a line break", func(r *model.JobRun) { r.RunName = "a\nb" }, "data.runName: string doesn't match"},
		{"a name in other letters", func(r *model.JobRun) { r.RunName = "päivitys" }, ""},
		{"the year 10000", func(r *model.JobRun) { r.StartedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year outside of range"},
		{"half a second", func(r *model.JobRun) { r.StartedAt = r.StartedAt.Add(time.Second / 2) }, "data.startedAt: string doesn't match"},
		{"concluded before it started", func(r *model.JobRun) { r.ConcludedAt = &conclusion }, ""},
		{"no conclusion", func(r *model.JobRun) { r.ConcludedAt = nil }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, secret := newFilledAPI(t)
			run := exampleRun(t)
			test.change(&run)
			a.store.runs[exampleKey] = run
			for _, path := range []string{runPath(t, exampleKey), teamRunPath(t, exampleKey)} {
				got := a.get(path, secret)
				if test.want == "" {
					a.want(got, http.StatusOK)
					continue
				}
				a.want(got, http.StatusInternalServerError)
				if !strings.Contains(fmt.Sprint(got.log), test.want) {
					t.Errorf("the log is %+v, want %q", got.log, test.want)
				}
				if strings.Contains(string(got.body), "breaks") {
					t.Errorf("the response tells of the inside: %s", got.body)
				}
			}
		})
	}
}

// TestBrokenRunAfterWaiting is TestBrokenRun for a run that concludes while its caller waits.
func TestBrokenRunAfterWaiting(t *testing.T) {
	a, secret := newFilledAPI(t)
	run := exampleRun(t)
	running := run
	running.Concluded, running.ConcludedAt = false, nil
	a.store.runs[exampleKey] = running
	run.Status = "CANCELLED"
	a.store.concluded = make(chan model.JobRun, 1)
	a.store.concluded <- run
	r, err := http.NewRequest(http.MethodGet, runPath(t, exampleKey), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Prefer", "wait=10")
	got := a.send(r)
	a.want(got, http.StatusInternalServerError)
	if !strings.Contains(fmt.Sprint(got.log), "data.status: ") {
		t.Errorf("the log does not say why: %+v", got.log)
	}
}

// TestGeneratedAnswer checks that a response of generated code, which knows only types, is held back
// where the document says more than those.
func TestGeneratedAnswer(t *testing.T) {
	doc, err := freshDocument()
	if err != nil {
		t.Fatal(err)
	}
	a, secret := newFilledAPI(t)
	login := operationOf(t, "login").path(nil)
	good := a.get(login, secret)
	a.want(good, http.StatusOK)
	doc.Components.Schemas["LoginResult"].Value.Properties["data"].Value.MinProps = 1
	if a.handler, err = server.NewFrom(doc, a.store, a.logger, server.Options{}); err != nil {
		t.Fatal(err)
	}
	got := a.get(login, secret)
	a.want(got, http.StatusInternalServerError)
	if !strings.Contains(
		fmt.Sprint(got.log),
		"the response breaks the contract: data: there must be at least 1 properties",
	) {
		t.Errorf("the log does not say why: %+v", got.log)
	}
}
