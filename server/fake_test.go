package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/jobrun"
)

// fakeStore is a store in memory. It remembers each look-up of a run, because most responses must
// come without any.
type fakeStore struct {
	// onRun and onToken run first when a run or a token is looked up, when set: they fail, panic or
	// block as a real store may.
	onRun, onToken func() error

	// concluded gives a run that is awaited its conclusion, when set.
	concluded chan model.JobRun
	// left is told why somebody has stopped to await a run, when set.
	left chan error

	mu      sync.Mutex
	runs    map[jobrun.Key]model.JobRun
	tokens  map[jobrun.TokenHash]jobrun.Token
	lookups []jobrun.Key
	outcome *model.JobRunOutcome // of all runs
	logs    []model.JobLogLine   // of all runs

	revision   int64 // of runs and tokens, for a test to change
	onRevision func() error
}

var _ server.Store = (*fakeStore)(nil)

func (s *fakeStore) Run(_ context.Context, key jobrun.Key) (*model.JobRun, error) {
	s.mu.Lock()
	s.lookups = append(s.lookups, key)
	s.mu.Unlock()
	run, err := find(s, s.onRun, s.runs, key)
	return &run, err
}

func (s *fakeStore) Outcome(ctx context.Context, key jobrun.Key) (*model.JobRunOutcome, error) {
	_, err := s.Run(ctx, key)
	outcome := s.outcome
	if outcome == nil {
		outcome = jobrun.NewOutcome("")
	}
	return outcome, err
}

func (s *fakeStore) Logs(ctx context.Context, key jobrun.Key) ([]model.JobLogLine, error) {
	_, err := s.Run(ctx, key)
	return slices.Clone(s.logs), err
}

func (s *fakeStore) RecordRun(
	_ context.Context, key jobrun.Key, report model.JobRunReport, admit func(isNew bool) error,
) (*model.JobRun, error) {
	if s.onRun != nil {
		if err := s.onRun(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	record := jobrun.Record{Team: key.Team, Project: key.Project, Job: key.Job, Run: model.JobRun{ID: key.Run}}
	run, recorded := s.runs[key]
	if recorded {
		record.Run = run
	}
	if err := admit(!recorded); err != nil {
		return nil, err
	}
	if err := record.Apply(report, time.Now()); err != nil {
		return nil, err
	}
	s.lookups = append(s.lookups, key)
	s.runs[key] = record.Run
	return &record.Run, nil
}

func (s *fakeStore) Revision(context.Context) (int64, error) {
	if s.onRevision != nil {
		if err := s.onRevision(); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, nil
}

func (s *fakeStore) Await(ctx context.Context, key jobrun.Key, enough <-chan struct{}) (*model.JobRun, error) {
	run, err := s.Run(ctx, key)
	if err != nil || run.Concluded {
		return run, err
	}
	select {
	case concluded := <-s.concluded:
		run = &concluded
	case <-enough:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if s.left != nil {
		s.left <- err
	}
	return run, err
}

func (s *fakeStore) Token(_ context.Context, hash jobrun.TokenHash) (jobrun.Token, error) {
	return find(s, s.onToken, s.tokens, hash)
}

// find calls the hook without holding the lock, so that one that blocks does not stop other
// requests.
func find[K comparable, V any](s *fakeStore, hook func() error, all map[K]V, key K) (V, error) {
	var none V
	if hook != nil {
		if err := hook(); err != nil {
			return none, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := all[key]
	if !ok {
		return none, jobrun.ErrNotFound
	}
	return found, nil
}

// takeLookups returns the runs that were looked up since it was last called.
func (s *fakeStore) takeLookups() []jobrun.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.lookups
	s.lookups = nil
	return taken
}

// logBuffer takes a log in JSON. It may be read while a server still writes to it.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// take returns the log since it was last called, as it was written.
func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.buffer.String()
	b.buffer.Reset()
	return text
}

// logLine is what the tests want to know of a line of the log.
type logLine struct {
	Level, Msg, ID, Method, Operation, Token, Error, Stack, Trace string
	Status                                                        int
}

// logLines reads a log, and fails the test where a line of it is not JSON.
func logLines(t testing.TB, text string) []logLine {
	t.Helper()
	var lines []logLine
	for line := range strings.Lines(text) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("the log line is not JSON: %v: %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}
