package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxBatch is how many writes one transaction combines at most.
const maxBatch = 64

// write is a change of one run, which waits for the writer.
type write struct {
	key jobrun.Key
	// change changes the row, and returns an error that leaves it unchanged. The row of a new run has
	// only a key.
	change func(r *row, isNew bool) error
	run    model.JobRun // the run after the change
	done   chan error
}

// RecordRun merges a report into the run of that key, as jobrun.Record.Apply does, and returns the
// run. Before it changes anything, it calls admit, whose argument is whether the run is new, and
// returns the error of admit if there is one. It may call admit again.
//
// One writer combines the reports that arrive together into one transaction, because a commit costs
// far more than a row: SQLite syncs the file, and PostgreSQL serializes commits that notify.
// Returns errors of jobrun.Record.Apply.
func (s *Store) RecordRun(
	ctx context.Context, key jobrun.Key, report model.JobRunReport, admit func(isNew bool) error,
) (*model.JobRun, error) {
	if err := s.listened.begin(func() error { return s.count(ctx) }); err != nil {
		return nil, s.classify(ctx, err)
	}
	now := time.Now()
	w := &write{key: key, done: make(chan error, 1), change: func(r *row, isNew bool) error {
		if err := admit(isNew); err != nil {
			return err
		}
		if err := r.Apply(report, now); err != nil {
			return err
		}
		if err := s.checkStorable(&r.Record); err != nil {
			return err
		}
		r.heardAt = sql.Null[int64]{V: now.Unix(), Valid: true}
		r.lostAt = sql.Null[int64]{}
		if !r.Run.Concluded && r.HeartbeatTimeout > 0 {
			r.lostAt = sql.Null[int64]{V: s.listened.now() + int64(r.HeartbeatTimeout)*1000, Valid: true}
		}
		return nil
	}}
	err := s.write(ctx, w)
	return &w.run, err
}

// write passes a write to the writer, and waits for the end of its transaction.
func (s *Store) write(ctx context.Context, w *write) error {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return s.classify(ctx, ctx.Err())
	case <-s.open.Done():
		return s.classify(ctx, sql.ErrConnDone)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return s.classify(ctx, ctx.Err())
	}
}

// runWriter commits writes until the store is closed. Writes that arrive during a transaction form
// the next one.
func (s *Store) runWriter() {
	for {
		var batch []*write
		select {
		case w := <-s.writes:
			batch = append(batch, w)
		case <-s.open.Done():
			return
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case w := <-s.writes:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		if err := s.commit(batch); err != nil && len(batch) > 1 {
			for _, w := range batch {
				w.done <- s.commit([]*write{w})
			}
		} else if err != nil {
			batch[0].done <- err
		}
	}
}

// commit commits the writes in one transaction, and tells each write its own error or nil. For a
// single write, it returns the error instead.
// Returns the error of the transaction; then it has told nothing.
func (s *Store) commit(batch []*write) error {
	ctx, cancel := limitWrite(s.open)
	defer cancel()
	// All processes lock runs in the same order, so that two never wait for each other.
	slices.SortStableFunc(batch, func(a, b *write) int { return compareKeys(a.key, b.key) })
	own, err := s.commitSorted(ctx, batch)
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return s.classify(ctx, err)
	}
	for i, w := range batch {
		w.done <- own[i]
	}
	return nil
}

// commitSorted returns the error of each write, or the error of the transaction.
func (s *Store) commitSorted(ctx context.Context, batch []*write) (own []error, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	own = make([]error, len(batch))
	for i := 0; i < len(batch); {
		before, err := s.lockRow(ctx, tx, batch[i].key)
		isNew := errors.Is(err, sql.ErrNoRows)
		if err != nil && !isNew {
			return nil, err
		}
		after, exists := before, !isNew
		for key := batch[i].key; i < len(batch) && batch[i].key == key; i++ {
			if own[i] = batch[i].change(&after, !exists); own[i] == nil {
				exists = true
			}
			batch[i].run = after.Run
		}
		if exists {
			if err := s.writeRow(ctx, tx, &before, &after, isNew); err != nil {
				return nil, err
			}
		}
	}
	return own, tx.Commit()
}

// rowColumns are the columns that lockRow reads. A log, which may be large, is not read.
var rowColumns = fieldColumns + ", source, version, outcome, CASE WHEN log IS NULL THEN 0 ELSE 1 END, " +
	"heartbeat_timeout, lost_at, heard_at"

// storedLog stands for a log that is stored and was not read.
var storedLog = []model.LogLine{{}}

// lockRow returns the row of that key, which no other process changes before the transaction ends.
// Returns sql.ErrNoRows, and a row with only a key, if there is none.
func (s *Store) lockRow(ctx context.Context, tx *sql.Tx, key jobrun.Key) (row, error) {
	r := row{Record: jobrun.Record{Team: key.Team, Project: key.Project, Job: key.Job, Run: model.JobRun{ID: key.Run}}}
	var source, outcome sql.Null[string]
	var version, timeout sql.Null[int64]
	var hasLog boolean
	err := ScanRun(tx.QueryRowContext(ctx, s.rowQuery, key.Team, key.Project, key.Job, key.Run), &r.Run,
		&source, &version, &outcome, &hasLog, &timeout, &r.lostAt, &r.heardAt)
	if err != nil {
		return r, err
	}
	r.Source, r.Version, r.HeartbeatTimeout = source.V, version.V, int(timeout.V)
	if hasLog {
		r.Log = storedLog
	}
	if outcome.Valid {
		r.Outcome = jobrun.NewOutcome("")
		err = json.Unmarshal([]byte(outcome.V), r.Outcome)
	}
	return r, err
}

// writeRow writes what has changed of a row. A report that only renews a run writes three columns,
// on which no index or trigger but that of lost runs depends.
// Returns ErrExists if another process has created the run since the row was read.
func (s *Store) writeRow(ctx context.Context, tx *sql.Tx, before, after *row, isNew bool) error {
	table := s.engine.table("runs")
	key := []any{after.Team, after.Project, after.Job, after.Run.ID}
	where := " WHERE team = $1 AND project = $2 AND job = $3 AND id = $4"
	if isNew {
		result, err := tx.ExecContext(ctx, "INSERT INTO "+table+" ("+strings.Join(writtenColumns, ", ")+") VALUES ("+
			s.engine.placeholders(1, len(writtenColumns))+") ON CONFLICT ("+keyColumns+") DO NOTHING", values(after)...)
		if err != nil {
			return err
		}
		if created, err := result.RowsAffected(); err != nil || created == 0 {
			return errors.Join(err, fmt.Errorf("%w: another server created the run just now", jobrun.ErrUnavailable))
		}
		return nil
	}
	changed := before.Record
	changed.HeartbeatTimeout = after.HeartbeatTimeout
	if reflect.DeepEqual(changed, after.Record) {
		if after.Run.Concluded {
			return nil
		}
		_, err := tx.ExecContext(ctx, "UPDATE "+table+" SET heartbeat_timeout = $5, lost_at = $6, heard_at = $7"+where,
			append(key, after.HeartbeatTimeout, after.lostAt, after.heardAt)...)
		return err
	}
	columns, args := writtenColumns[3:], values(after)[3:] // without team, project and job
	sets := make([]string, len(columns))
	for i, column := range columns {
		sets[i] = fmt.Sprintf("%s = $%d", column, i+5)
		if column == "log" && len(before.Log) > 0 {
			sets[i] = fmt.Sprintf("log = coalesce(log, $%d)", i+5)
		}
	}
	_, err := tx.ExecContext(ctx, "UPDATE "+table+" SET "+strings.Join(sets, ", ")+where, append(key, args...)...)
	return err
}

func compareKeys(a, b jobrun.Key) int {
	return slices.Compare(
		[]string{a.Team, a.Project, a.Job, a.Run}, []string{b.Team, b.Project, b.Job, b.Run})
}
