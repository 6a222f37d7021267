package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

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
	listened := s.listened.Load()
	if listened == nil {
		var err error
		if listened, err = s.count(ctx); err != nil {
			return nil, err
		}
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
			r.lostAt = sql.Null[int64]{V: listened.now() + int64(r.HeartbeatTimeout)*1000, Valid: true}
		}
		return nil
	}}
	if err := s.write(ctx, w); err != nil {
		return nil, err
	}
	return &w.run, nil
}

// change is what the writes of one run change. A row without a name is not stored.
type change struct{ before, after row }

// touchesJob reports whether the row of the job depends on the change.
func (c *change) touchesJob() bool {
	return c.after.JobType != "" || !reflect.DeepEqual(c.before.state(), c.after.state())
}

// change makes the changes. It locks rows in one order: jobs, runs, revision, which a trigger locks. To
// know which jobs to lock, it reads the runs first without a lock.
func (s *Store) change(ctx context.Context, tx *sql.Tx, batch []*write) error {
	changes, err := s.merge(ctx, tx, batch, "")
	if err != nil {
		return err
	}
	jobs := jobsInTx{store: s, tx: tx, states: map[jobrun.Key]*jobrun.JobState{}, unknown: map[jobrun.Key]bool{}}
	for i := range changes {
		if changes[i].touchesJob() {
			if _, err := jobs.lock(ctx, changes[i].after.Record); err != nil {
				return err
			}
		}
	}
	if s.engine.LockRow != "" {
		if changes, err = s.merge(ctx, tx, batch, s.engine.LockRow); err != nil {
			return err
		}
	}
	for i := range changes {
		c := &changes[i]
		if c.before.Run.RunName != "" {
			err = s.updateRow(ctx, tx, &c.before, &c.after)
		} else if c.after.Run.RunName != "" {
			err = s.insertRow(ctx, tx, &c.after)
		}
		if err == nil && c.touchesJob() {
			err = jobs.change(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	return jobs.write(ctx)
}

// merge applies the writes, which are sorted by key, to the rows of their runs. lock ends the query of
// a row.
func (s *Store) merge(ctx context.Context, tx *sql.Tx, batch []*write, lock string) (changes []change, err error) {
	for len(batch) > 0 {
		c := change{}
		if c.before, err = s.readRow(ctx, tx, batch[0].key, lock); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		c.after = c.before
		key := batch[0].key
		for ; len(batch) > 0 && batch[0].key == key; batch = batch[1:] {
			w, next := batch[0], c.after
			if w.err = w.change(&next, next.Run.RunName == ""); w.err == nil {
				c.after = next
			}
			w.run = c.after.Run
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// rowColumns are the columns that readRow reads. A log, which may be large, is not read.
var rowColumns = fieldColumns + ", source, version, outcome, CASE WHEN log IS NULL THEN 0 ELSE 1 END, " +
	"heartbeat_timeout, lost_at, reported_at"

// storedLog stands for a log that is stored and was not read.
var storedLog = []model.LogLine{{}}

// readRow returns the row of that key. lock ends the query.
// Returns sql.ErrNoRows, and a row with only a key, if there is none.
func (s *Store) readRow(ctx context.Context, tx *sql.Tx, key jobrun.Key, lock string) (row, error) {
	r := row{Record: jobrun.Record{Team: key.Team, Project: key.Project, Job: key.Job, Run: model.JobRun{ID: key.Run}}}
	var source, outcome sql.Null[string]
	var version, timeout sql.Null[int64]
	var hasLog boolean
	err := ScanRun(s.queryRowIn(ctx, tx, s.rowQuery+lock, key.Team, key.Project, key.Job, key.Run), &r.Run,
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

// insertRow stores a new row.
func (s *Store) insertRow(ctx context.Context, tx *sql.Tx, r *row) error {
	_, err := s.execIn(ctx, tx, "INSERT INTO "+s.engine.table("runs")+" ("+strings.Join(writtenColumns, ", ")+
		") VALUES ("+s.engine.placeholders(1, len(writtenColumns))+")", values(r)...)
	return err
}

// updateRow writes what has changed of a row. A report that only renews a run writes three columns,
// on which no index or trigger but that of lost runs depends.
func (s *Store) updateRow(ctx context.Context, tx *sql.Tx, before, after *row) error {
	renewed := before.Record
	renewed.HeartbeatTimeout = after.HeartbeatTimeout
	columns, args := writtenColumns[keyLength:], values(after)[keyLength:]
	if reflect.DeepEqual(renewed, after.Record) {
		if after.Run.Concluded {
			return nil
		}
		columns, args = columns[len(columns)-3:], args[len(args)-3:]
	}
	sets := make([]string, len(columns))
	for i, column := range columns {
		sets[i] = fmt.Sprintf("%s = $%d", column, keyLength+1+i)
		if column == "log" && len(after.Log) > 0 && &after.Log[0] == &storedLog[0] {
			sets[i] = fmt.Sprintf("log = coalesce(log, $%d)", keyLength+1+i)
		}
	}
	args = append(values(after)[:keyLength:keyLength], args...)
	_, err := s.execIn(ctx, tx, "UPDATE "+s.engine.table("runs")+" SET "+strings.Join(sets, ", ")+
		" WHERE team = $1 AND project = $2 AND job = $3 AND id = $4", args...)
	return err
}

// queryRowIn is queryRow within a transaction.
func (s *Store) queryRowIn(ctx context.Context, tx *sql.Tx, query string, args ...any) *sql.Row {
	if prepared := s.prepare(ctx, query); prepared != nil {
		return tx.StmtContext(ctx, prepared).QueryRowContext(ctx, args...)
	}
	return tx.QueryRowContext(ctx, query, args...)
}

// execIn is ExecContext, as queryRowIn is QueryRowContext.
func (s *Store) execIn(ctx context.Context, tx *sql.Tx, statement string, args ...any) (sql.Result, error) {
	if prepared := s.prepare(ctx, statement); prepared != nil {
		return tx.StmtContext(ctx, prepared).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, statement, args...)
}
