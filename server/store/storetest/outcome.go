package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// exited returns the end of a command that exited with that status.
func exited(status int) jobrun.End {
	return jobrun.End{Reason: jobrun.ReasonExitStatus, Message: "exit status", ExitStatus: &status}
}

// failedTwice returns a record of a run that failed at its second attempt.
func failedTwice(change ...func(*jobrun.Record)) jobrun.Record {
	return Running(append([]func(*jobrun.Record){func(r *jobrun.Record) {
		r.Outcome = jobrun.NewOutcome("web-1")
		signal := "KILL"
		killed := jobrun.End{Reason: jobrun.ReasonSignal, Message: "killed", Signal: &signal}
		r.AddAttempt(started, started.Add(time.Second), killed)
		r.AddAttempt(started.Add(time.Minute), concludedAt, exited(0))
		r.Conclude(concludedAt, false, exited(0))
		r.Log = []model.LogLine{{TS: concludedAt, Log: "last words"}, {TS: concludedAt, Log: "\x00\x1b[31mé\u2028"}}
	}}, change...)...)
}

func wantOutcome(t *testing.T, s *Store, r jobrun.Record, want *model.JobRunOutcome) {
	t.Helper()
	got, err := s.Outcome(t.Context(), r.Key())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, outcome (-want +got):\n%s", err, diff)
	}
}

// wantLogs checks that the logs of the record's run are the lines of its log, from that container.
func wantLogs(t *testing.T, s *Store, r jobrun.Record, container string) {
	t.Helper()
	var want []model.JobLogLine
	for _, line := range r.Log {
		want = append(want, model.JobLogLine{ContainerID: container, Log: line.Log, TS: line.TS})
	}
	got, err := s.Logs(t.Context(), r.Key())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, logs (-want +got):\n%s", err, diff)
	}
}

// wantUnknown checks that nobody knows why the record's run ended as it did.
func wantUnknown(t *testing.T, s *Store, r jobrun.Record) {
	t.Helper()
	r.Outcome, r.Log = nil, nil
	r.Conclude(concludedAt, r.Run.Status == model.JobRunStatusSuccess, jobrun.Unknown())
	wantOutcome(t, s, r, r.Outcome)
	wantLogs(t, s, r, "")
}

func testOutcomeComesBackAsStored(t *testing.T, on subject) {
	s, url := on.open(t)
	if _, err := s.Outcome(t.Context(), Record().Key()); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("the outcome of no run: %v, want ErrNotFound", err)
	}
	if _, err := s.Logs(t.Context(), Record().Key()); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("the logs of no run: %v, want ErrNotFound", err)
	}
	for name, r := range map[string]jobrun.Record{
		"failed": failedTwice(),
		"going on": Running(func(r *jobrun.Record) {
			r.Outcome = jobrun.NewOutcome("web-1")
			r.AddAttempt(started, started.Add(time.Second), exited(3))
		}),
		"without a host": Running(func(r *jobrun.Record) {
			r.Conclude(concludedAt, true, jobrun.End{Reason: "CompletionsReached"})
			r.Log = []model.LogLine{{TS: concludedAt.Add(time.Millisecond), Log: ""}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			Put(t, s, r)
			container := r.Run.ID
			if r.Outcome.Host != nil {
				container = *r.Outcome.Host
			}
			for _, s := range []*Store{s, on.reopen(t, url)} {
				wantOutcome(t, s, r, r.Outcome)
				wantLogs(t, s, r, container)
				WantRun(t, s, r)
			}
		})
	}
}

// testOutcomeIsThatOfItsRun replaces runs in all the ways in which that is done.
func testOutcomeIsThatOfItsRun(t *testing.T, on subject) {
	s, _ := on.open(t)
	Put(t, s, Record())
	wantUnknown(t, s, Record())

	Put(t, s, failedTwice())
	Put(t, s, Record())
	wantUnknown(t, s, Record())

	Put(t, s, failedTwice())
	imported := Record(func(r *jobrun.Record) { r.Conclude(concludedAt, true, exited(0)) })
	if err := s.ImportRuns(t.Context(), one(imported)); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, s, imported, imported.Outcome)
	wantLogs(t, s, imported, "")
	if err := s.ImportRuns(t.Context(), one(Record())); err != nil {
		t.Fatal(err)
	}
	wantUnknown(t, s, Record())

	// What is not stored leaves the outcome as it was.
	later := observed(8, failedTwice())
	Put(t, s, later)
	Put(t, s, observed(7, Record()))
	wantOutcome(t, s, later, later.Outcome)
	wantLogs(t, s, later, "web-1")

	wantPruned(t, s, concludedAt.Add(time.Minute), 1)
	if got, err := s.Logs(t.Context(), later.Key()); !errors.Is(err, jobrun.ErrNotFound) {
		t.Errorf("the logs of a run that was pruned: %+v, %v", got, err)
	}
}

// ExerciseUpgradeOf07 opens a database of version 0.7 that has the runs of StoreRunsOf07 and the token
// of StoreTokenOf07.
func ExerciseUpgradeOf07(t *testing.T, engine store.Engine, url string) {
	s := Open(t, engine, url)
	killed := "KILL"
	running := func(r *jobrun.Record) {
		r.Outcome = jobrun.NewOutcome("web-1")
		r.AddAttempt(started, started.Add(time.Second), jobrun.End{Reason: "Signal", Message: "killed \"-\\ é", Signal: &killed})
	}
	failed := func(r *jobrun.Record) {
		running(r)
		r.AddAttempt(started.Add(time.Minute), concludedAt, exited(1))
		r.Conclude(concludedAt, false, exited(1))
		r.Log = []model.LogLine{{TS: concludedAt, Log: "\x00\x1b[31mé"}, {TS: concludedAt, Log: "a"}}
	}
	unknown := func(r *jobrun.Record) { r.Conclude(concludedAt, false, jobrun.Unknown()) }
	for id, want := range map[string]func(*jobrun.Record){
		"failed":    failed,
		"succeeded": func(r *jobrun.Record) { r.Conclude(concludedAt, true, jobrun.End{Reason: "Completed"}) },
		"running":   running,
		"replaced":  unknown, // by a program that knows no outcomes
		"without":   unknown,
		"reopened":  func(r *jobrun.Record) { r.Outcome = jobrun.NewOutcome("") },
	} {
		r := Running(withID(id), want)
		wantOutcome(t, s, r, r.Outcome)
		wantLogs(t, s, r, "web-1")
	}
	tokens, err := s.Tokens(t.Context())
	want := []string{"Project > Jobs > General > Read", "Project > Jobs > Deployment > View Instance Logs"}
	if err != nil || len(tokens) != 1 || !slices.Equal(tokens[0].Permissions, want) {
		t.Errorf("tokens %+v, %v, want one with the permissions %q", tokens, err, want)
	}
	job, err := s.Job(t.Context(), jobrun.Key{Team: "default", Project: "default-project", Job: "nightly"})
	if err != nil {
		t.Fatal(err)
	}
	state := job.State
	if state.LatestRun.ID != "f6" || state.LatestSuccess.ID != "s2" || state.LatestFailure.ID != "f6" ||
		state.FailuresInARow != 3 || state.Running != 1 || !job.CreatedAt.Equal(started.Add(time.Minute)) {
		t.Errorf("the job is %+v, created %s", state, job.CreatedAt)
	}
	// Only the recorder of one run had a lease. It gets two minutes to report.
	listen(t, s, 119*time.Second)
	WantRun(t, s, Running(withID("running"), func(r *jobrun.Record) { r.Run.RunName, r.Run.Completions = "n", 0 }))
	listen(t, s, time.Hour)
	wantLost(t, s, Running(withID("running")).Key(), leasedAt)
	WantRun(t, s, Running(withID("reopened"), func(r *jobrun.Record) { r.Run.RunName = "n" }))
}

// leasedAt is when the recorder of the run "running" renewed its lease.
var leasedAt = started.Add(72 * time.Second)

// outcomeOf07 is the outcome of a run that failed twice, in SQL, as version 0.7 stored it.
const outcomeOf07 = `'{"of":"FAILED 1607428328","host":"web-1","reason":"ExitStatus","message":"exit status","exitStatus":1,` +
	`"attempts":[` + attemptOf07 + `,{"number":2,"startedAt":1607428088,"concludedAt":1607428328}]}'`

const attemptOf07 = `{"number":1,"startedAt":1607428028,"concludedAt":1607428029,"reason":"Signal",` +
	`"message":"killed \"-\\ é","signal":"KILL"}`

// StoreRunsOf07 is a statement that stores runs as version 0.7 did. The run "running" still needs a
// lease that was renewed at the Unix time 1607428100.
const StoreRunsOf07 = `INSERT INTO runs (team, project, job, run_name, backoff_limit, completions, started_at,
	id, active, concluded, failed, succeeded, status, concluded_at, outcome, output)
	SELECT 'default', 'default-project', 'example-job', 'n', 0, 0, 1607428028, listed.* FROM (VALUES
	('failed',    0, 1, 1, 0, 'FAILED',  1607428328, ` + outcomeOf07 + `, '{"output":"\u0000\u001b[31mé\na\n","truncated":true}'),
	('replaced',  0, 1, 1, 0, 'FAILED',  1607428329, ` + outcomeOf07 + `, '{"output":"a","truncated":false}'),
	('without',   0, 1, 1, 0, 'FAILED',  1607428328, NULL, '{"output":"a","truncated":false}'),
	('succeeded', 0, 1, 0, 1, 'SUCCESS', 1607428328, '{"of":"SUCCESS 1607428328","reason":"Completed"}', NULL),
	('running',   1, 0, 0, 0, 'RUNNING', NULL, '{"host":"web-1","attempts":[` + attemptOf07 + `]}', NULL),
	('reopened',  1, 0, 0, 0, 'RUNNING', NULL, ` + outcomeOf07 + `, '{"output":"a","truncated":false}')) AS listed;
	INSERT INTO runs (team, project, job, run_name, backoff_limit, completions, id, started_at, active, concluded, failed, succeeded,
	status, concluded_at)
	SELECT 'default', 'default-project', 'nightly', 'n', 0, 0, listed.* FROM (VALUES
	('f1', 1607428088, 0, 1, 1, 0, 'FAILED',  1607428089),
	('s2', 1607428148, 0, 1, 0, 1, 'SUCCESS', 1607428149),
	('f3', 1607428208, 0, 1, 1, 0, 'FAILED',  1607428209),
	('f4', 1607428268, 0, 1, 1, 0, 'FAILED',  1607428269),
	('r5', 1607428328, 1, 0, 0, 0, 'RUNNING', CAST(NULL AS integer)),
	('f6', 1607428388, 0, 1, 1, 0, 'FAILED',  1607428389)) AS listed`

// StoreTokenOf07 returns a statement that stores a token that reads output, as version 0.7 did. The
// hash is 32 bytes in the SQL of the engine.
func StoreTokenOf07(hash string) string {
	return fmt.Sprintf(`; INSERT INTO tokens VALUES (%s, 'logs', '["default"]', '[]',
	'["Project \u003e Jobs \u003e General \u003e Read","Project \u003e Observability \u003e Logs \u003e Read"]', 1607428028, NULL)`, hash)
}
