package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// randomWriter writes runs of a few jobs. No two runs start at the same time.
type randomWriter struct {
	*rand.Rand
	t       *testing.T
	s       *Store
	starts  []int // minutes that are left
	version int64
	begin   time.Time
	runs    []jobrun.Record // of watch, as written last
	keys    []jobrun.Key    // of recorders
}

func newRandomWriter(t *testing.T, s *Store) *randomWriter {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &randomWriter{
		Rand: rand.New(rand.NewPCG(seed, 0)), t: t, s: s, begin: time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour),
	}
	w.starts = w.Perm(1000)
	return w
}

func (w *randomWriter) start() time.Time {
	minute := w.starts[0]
	w.starts = w.starts[1:]
	return w.begin.Add(time.Duration(minute) * time.Minute)
}

func (w *randomWriter) key() jobrun.Key {
	w.version++
	job := []string{"j", "j.1", "J"}[w.IntN(3)]
	return jobrun.Key{Team: "t", Project: "p", Job: job, Run: fmt.Sprintf("r%d-%d", w.IntN(1000), w.version)}
}

// report reports on a run: it starts, is renewed, or concludes.
func (w *randomWriter) report() string {
	report := model.JobRunReport{HeartbeatTimeout: new(100)}
	var key jobrun.Key
	if len(w.keys) == 0 || w.IntN(3) == 0 {
		key, report.StartedAt = w.key(), new(w.start())
		w.keys = append(w.keys, key)
	} else {
		key = w.keys[len(w.keys)-1-w.IntN(min(5, len(w.keys)))]
	}
	if w.IntN(2) == 0 {
		report.Conclusion = &model.JobRunConclusion{Succeeded: w.IntN(3) == 0}
	}
	_, err := w.s.RecordRun(w.t.Context(), key, report, func(isNew bool) error {
		if isNew && report.StartedAt == nil {
			return jobrun.ErrNotFound // the run was pruned
		}
		return nil
	})
	if err != nil && !errors.Is(err, jobrun.ErrConflict) && !errors.Is(err, jobrun.ErrNotFound) {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("a report on %s", key.Run)
}

// lose has a server conclude some runs, because their recorders seem to have died.
func (w *randomWriter) lose() string {
	Exec(w.t, w.s, fmt.Sprintf("UPDATE runs SET lost_at = 0 WHERE concluded = 0 AND lost_at IS NOT NULL AND started_at %% 240 = %d",
		w.begin.Unix()%240+int64(w.IntN(4)*60)%240))
	if err := w.s.Tick(w.t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	return "the loss of some runs"
}

// observe writes runs as watch or import does, some of them again: with another end or start.
func (w *randomWriter) observe() string {
	var some []jobrun.Record
	for range 1 + w.IntN(4) {
		key := w.key()
		r := Record(func(r *jobrun.Record) { r.Team, r.Project, r.Job, r.Run.ID = key.Team, key.Project, key.Job, key.Run })
		r.Run.StartedAt = w.start()
		if n := len(w.runs); n > 0 && w.IntN(2) == 0 {
			before := w.runs[w.IntN(n)]
			if slices.ContainsFunc(some, func(r jobrun.Record) bool { return r.Key() == before.Key() }) {
				continue
			}
			r.Job, r.Run.ID = before.Job, before.Run.ID
			if w.IntN(2) == 0 {
				r.Run.StartedAt = before.Run.StartedAt
			}
		}
		r.Source, r.Version = "watch", w.version
		switch w.IntN(3) {
		case 0:
			r.Conclude(r.Run.StartedAt.Add(time.Minute), true, jobrun.End{})
		case 1:
			r.Conclude(r.Run.StartedAt.Add(time.Minute), false, jobrun.End{})
		default:
			r.Run.Active, r.Run.Concluded, r.Run.ConcludedAt = model.FlagYes, false, nil
			r.Run.Status, r.Run.Succeeded = model.JobRunStatusRunning, model.FlagNo
		}
		some = append(some, r)
	}
	w.runs = append(w.runs, some...)
	write := w.s.PutRuns
	if w.IntN(3) == 0 {
		write = func(ctx context.Context, records []jobrun.Record) error {
			return w.s.ImportRuns(ctx, withoutErrors(records))
		}
	}
	if err := write(w.t.Context(), some); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("the observation of %d runs", len(some))
}
