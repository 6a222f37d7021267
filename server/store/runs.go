package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// placeholders returns n numbered parameters, from the first on.
func (e Engine) placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte(e.Parameter)
		b.WriteString(strconv.Itoa(first + i))
	}
	return b.String()
}

// replaceRun ends an INSERT so that a new record replaces an old one, unless the old one was
// observed later, or has concluded while the new one is an observation of a running run.
func (e Engine) replaceRun() string {
	var b strings.Builder
	b.WriteString("ON CONFLICT (" + keyColumns + ") DO UPDATE SET ")
	key := strings.Split(keyColumns, ", ")
	separator := ""
	for _, column := range writtenColumns {
		if !slices.Contains(key, column) {
			b.WriteString(separator + column + " = excluded." + column)
			separator = ", "
		}
	}
	b.WriteString(` WHERE excluded.source IS NULL OR (excluded.concluded >= runs.concluded
		AND (runs.version IS NULL OR excluded.version >= runs.version))`)
	return b.String()
}

// readRun is the query of columns of a run by its key.
func (e Engine) readRun(columns string) string {
	return "SELECT " + columns + " FROM " + e.table("runs") +
		" WHERE team = $1 AND project = $2 AND job = $3 AND id = $4"
}

// ScanRun scans Watch.RunColumns into the run, and the columns after them into the others.
// Returns the database's own error.
func ScanRun(row interface{ Scan(...any) error }, run *model.JobRun, others ...any) error {
	targets := make([]any, 0, len(fields)+len(others))
	for _, f := range fields {
		targets = append(targets, f.in(run))
	}
	return row.Scan(append(targets, others...)...)
}

// Run returns the run of that key.
// Returns jobrun.ErrNotFound if there is no such run.
func (s *Store) Run(ctx context.Context, key jobrun.Key) (*model.JobRun, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	run := &model.JobRun{}
	err := ScanRun(s.queryRow(ctx, s.runQuery, key.Team, key.Project, key.Job, key.Run), run)
	return run, s.classify(ctx, err)
}

// Revision returns a number that changes whenever a final run or a token changes or is deleted.
func (s *Store) Revision(ctx context.Context) (number int64, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	err = s.queryRow(ctx, "SELECT number FROM "+s.engine.table("revision")).Scan(&number)
	return number, s.classify(ctx, err)
}

// Unconcluded returns the runs that were last observed at a source whose name begins with the
// prefix, and had not concluded.
func (s *Store) Unconcluded(ctx context.Context, sourcePrefix string) ([]jobrun.Record, error) {
	ctx, cancel := limitWrite(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, "SELECT "+fieldColumns+", team, project, job, source, version FROM "+
		s.engine.table("runs")+" WHERE concluded = 0 AND source IS NOT NULL AND substr(source, 1, $1) = $2",
		utf8.RuneCountInString(sourcePrefix), sourcePrefix)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	defer rows.Close()
	var records []jobrun.Record
	for rows.Next() {
		var r jobrun.Record
		if err := ScanRun(rows, &r.Run, &r.Team, &r.Project, &r.Job, &r.Source, &r.Version); err != nil {
			return nil, s.classify(ctx, err)
		}
		records = append(records, r)
	}
	return records, s.classify(ctx, rows.Err())
}

// PutRun stores the run, in place of the run of the same key if there is one, unless jobrun.Record
// says otherwise. Times lose their fractions of seconds.
// Returns an error that wraps jobrun.ErrInvalid and names the field and the rule if the run breaks
// the contract.
func (s *Store) PutRun(ctx context.Context, record jobrun.Record) error {
	return s.PutRuns(ctx, []jobrun.Record{record})
}

// PutRuns stores runs of different keys as PutRun does, with fewer transactions. When it fails, some
// may be stored.
func (s *Store) PutRuns(ctx context.Context, records []jobrun.Record) error {
	for batch := range slices.Chunk(records, maxBatch) {
		writes := make([]*write, len(batch))
		for i, record := range batch {
			if err := s.checkStorable(&record); err != nil {
				return err
			}
			record.Run.StartedAt = record.Run.StartedAt.UTC().Truncate(time.Second)
			if at := record.Run.ConcludedAt; at != nil {
				record.Run.ConcludedAt = new(at.UTC().Truncate(time.Second))
			}
			writes[i] = &write{key: record.Key(), done: make(chan error, 1), change: func(r *row, isNew bool) error {
				if isNew || record.Source == "" ||
					(record.Run.Concluded || !r.Run.Concluded) && (r.Source == "" || record.Version >= r.Version) {
					*r = row{Record: record}
				}
				return nil
			}}
		}
		if err := errors.Join(s.writeAll(ctx, writes)...); err != nil {
			return err
		}
	}
	return nil
}

// ImportRuns stores all runs as PutRun does, or none of them if the sequence yields an error, which
// it returns, or if a run breaks the contract. If several records have the same key, the last one
// counts. Memory does not grow with their number, and other processes can write meanwhile.
// Returns an error that wraps ErrPartly if it could not store the runs after some of them. A process
// that is killed may leave such a part too. To import all again is what helps.
func (s *Store) ImportRuns(ctx context.Context, records iter.Seq2[jobrun.Record, error]) error {
	var broken error // the sequence's own error, or that of a run
	rows := func(yield func([]any, error) bool) {
		for record, err := range records {
			if broken = cmp.Or(err, s.checkStorable(&record)); broken != nil {
				yield(nil, broken)
				return
			}
			if !yield(values(&row{Record: record}), nil) {
				return
			}
		}
	}
	err := s.engine.Import(ctx, s.db, Rows{
		Table: s.engine.table("runs"), Jobs: s.engine.table("jobs"), Columns: writtenColumns, Values: rows,
		OnConflict: s.engine.replaceRun(),
		LookUpJobs: func(query string) string { return s.engine.lookUpJobs(query, false) },
	})
	if err == nil {
		err = s.Check()
	}
	if errors.Is(err, ErrPartly) {
		return fmt.Errorf("%w: %w", ErrPartly, s.classify(ctx, err))
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return cmp.Or(broken, s.classify(ctx, err))
}
