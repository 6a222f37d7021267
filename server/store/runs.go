package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// BatchSize is how many runs PutRuns stores with one statement.
const BatchSize = 100

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
	for _, column := range slices.Concat(writtenColumns, e.Lease.Columns) {
		if !slices.Contains(key, column) {
			b.WriteString(separator + column + " = excluded." + column)
			separator = ", "
		}
	}
	b.WriteString(` WHERE excluded.source IS NULL OR (excluded.concluded >= runs.concluded
		AND (runs.version IS NULL OR excluded.version >= runs.version))`)
	return b.String()
}

// runColumns are the columns that ScanRun scans.
func (e Engine) runColumns() string { return fieldColumns + ", " + e.Lease.lapsedSince() }

// readRun is the query of a run by its key, and of other columns.
func (e Engine) readRun(others ...string) string {
	return "SELECT " + strings.Join(append([]string{e.runColumns()}, others...), ", ") + " FROM " + e.table("runs") +
		" WHERE team = $1 AND project = $2 AND job = $3 AND id = $4"
}

// ScanRun scans Watch.RunColumns into the record's run, and the columns after them into the others.
// A run whose lease has run out has failed, at the time of the last renewal. final reports whether
// the run was stored as concluded, so that it only changes if a recorder corrects it.
// Returns the database's own error.
func ScanRun(row interface{ Scan(...any) error }, record *jobrun.Record, others ...any) (final bool, err error) {
	var lapsed sql.Null[int64]
	targets := make([]any, 0, len(fields)+1+len(others))
	for _, f := range fields {
		targets = append(targets, f.in(&record.Run))
	}
	targets = append(targets, &lapsed)
	if err := row.Scan(append(targets, others...)...); err != nil {
		return false, err
	}
	final = record.Run.Concluded
	if !final && lapsed.Valid {
		concludeLost(record, lapsed.V)
	}
	return final, nil
}

// concludeLost concludes a run whose lease has run out: at the time of its last renewal, in seconds
// since 1970.
func concludeLost(record *jobrun.Record, renewed int64) {
	heard := time.Unix(renewed, 0).UTC()
	record.Conclude(heard, false, jobrun.End{
		Reason:  jobrun.ReasonRecorderLost,
		Message: "its recorder was last heard of at " + heard.Format(time.RFC3339),
	})
}

// Run returns the run of that key, and whether it is final: stored as concluded, so that it only
// changes if a recorder corrects it, which changes Revision too. A run whose recorder has died is
// returned as failed, and is not final.
// Returns jobrun.ErrNotFound if there is none.
func (s *Store) Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, final bool, err error) {
	record, final, err := s.read(ctx, s.runQuery, key)
	return &record.Run, final, err
}

// read reads the run of that key with a query of readRun, and other columns into the others.
func (s *Store) read(
	ctx context.Context, query string, key jobrun.Key, others ...any,
) (record jobrun.Record, final bool, err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	for range 2 {
		final, err = ScanRun(s.queryRow(ctx, query, key.Team, key.Project, key.Job, key.Run), &record, others...)
		if err != nil {
			return record, false, s.classify(ctx, err)
		}
		// A recorder that has ended may have concluded the run before, and after the query began to
		// read. A query that begins now finds that.
		if final || !record.Run.Concluded {
			break
		}
	}
	return record, final, nil
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
	rows, err := s.db.QueryContext(ctx, "SELECT "+s.engine.runColumns()+", team, project, job, source, version FROM "+
		s.engine.table("runs")+" WHERE concluded = 0 AND source IS NOT NULL AND substr(source, 1, $1) = $2",
		utf8.RuneCountInString(sourcePrefix), sourcePrefix)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	defer rows.Close()
	var records []jobrun.Record
	for rows.Next() {
		var r jobrun.Record
		if _, err := ScanRun(rows, &r, &r.Team, &r.Project, &r.Job, &r.Source, &r.Version); err != nil {
			return nil, s.classify(ctx, err)
		}
		records = append(records, r)
	}
	return records, s.classify(ctx, rows.Err())
}

// PutRun stores the run, in place of the one of the same key if there is one, unless jobrun.Record
// says otherwise. Times lose their fractions of seconds.
// If the run's lease had run out, so that readers may have been told that the run has failed, it says
// so in the log.
// Returns an error that wraps jobrun.ErrInvalid and names the field and the rule if the run breaks
// the contract.
func (s *Store) PutRun(ctx context.Context, record jobrun.Record) error {
	lapsed := record.Leased && s.hasLapsed(ctx, record.Key())
	err := s.PutRuns(ctx, []jobrun.Record{record})
	if err == nil && lapsed {
		slog.Warn(
			"the recorder of a run was not heard of for too long, and lives: readers may have been told that the run failed",
			"team", record.Team, "project", record.Project, "job", record.Job, "run", record.Run.ID,
		)
	}
	return err
}

// hasLapsed reports whether the lease of a run that has not concluded has run out, as far as the
// store can tell.
func (s *Store) hasLapsed(ctx context.Context, key jobrun.Key) bool {
	run, final, err := s.Run(ctx, key)
	return err == nil && run.Concluded && !final
}

// CreateRun stores the run as PutRun does, but only if the store has none of its key, or one of the
// same name: a caller whose earlier attempt has stored it without an answer may try again.
// Returns an error that wraps ErrExists if there is another run of that key.
func (s *Store) CreateRun(ctx context.Context, record jobrun.Record) error {
	if err := s.checkStorable(&record); err != nil {
		return err
	}
	lease := s.engine.Lease
	columns := strings.Join(slices.Concat(writtenColumns, lease.Columns), ", ")
	result, err := s.exec(ctx, "INSERT INTO "+s.engine.table("runs")+" ("+columns+") VALUES ("+
		s.engine.placeholders(1, len(writtenColumns))+", "+lease.valuesFor(record.Leased && !record.Run.Concluded)+
		") ON CONFLICT ("+keyColumns+") DO NOTHING", values(&record)...)
	if err != nil {
		return err
	}
	created, err := result.RowsAffected()
	if err != nil || created > 0 {
		return s.classify(ctx, err)
	}
	switch run, _, err := s.Run(ctx, record.Key()); {
	case errors.Is(err, jobrun.ErrNotFound): // deleted meanwhile
		return fmt.Errorf("%w: run %s was deleted just now", jobrun.ErrUnavailable, record.Run.ID)
	case err != nil:
		return err
	case run.RunName != record.Run.RunName:
		return fmt.Errorf("run %s of job %s in project %s: %w", record.Run.ID, record.Job, record.Project, ErrExists)
	}
	return s.PutRun(ctx, record) // what the earlier attempt stored may be out of date
}

// PutRuns stores runs of different keys as PutRun does, with fewer statements. When it fails, some
// may be stored.
func (s *Store) PutRuns(ctx context.Context, records []jobrun.Record) error {
	// All processes lock runs in the same order, so that two never wait for each other.
	records = slices.SortedFunc(slices.Values(records), func(a, b jobrun.Record) int {
		return slices.Compare([]string{a.Team, a.Project, a.Job, a.Run.ID}, []string{b.Team, b.Project, b.Job, b.Run.ID})
	})
	for batch := range slices.Chunk(records, BatchSize) {
		var statement strings.Builder
		var args []any
		columns := slices.Concat(writtenColumns, s.engine.Lease.Columns)
		statement.WriteString("INSERT INTO " + s.engine.table("runs") + " (" + strings.Join(columns, ", ") + ") VALUES ")
		for i := range batch {
			r := &batch[i]
			if err := s.checkStorable(r); err != nil {
				return err
			}
			if i > 0 {
				statement.WriteString(", ")
			}
			written := s.engine.placeholders(len(args)+1, len(writtenColumns))
			lease := s.engine.Lease.valuesFor(r.Leased && !r.Run.Concluded)
			statement.WriteString("(" + written + ", " + lease + ")")
			args = append(args, values(r)...)
		}
		statement.WriteString(" " + s.engine.replaceRun())
		if _, err := s.exec(ctx, statement.String(), args...); err != nil {
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
			if !yield(values(&record), nil) {
				return
			}
		}
	}
	err := s.engine.Import(ctx, s.db, Rows{
		Table: s.engine.table("runs"), Columns: writtenColumns, Values: rows, OnConflict: s.engine.replaceRun(),
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
