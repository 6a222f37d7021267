package store

import (
	"cmp"
	"context"
	"database/sql"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// runFields are the columns that hold the fields of a run, in the contract's order but for the id.
const runFields = `active, backoff_limit, completions, concluded, failed, run_name, status, succeeded, started_at,
	concluded_at`

// runColumns are those that values gives: all but the lease.
const runColumns = "team, project, job, id, " + runFields + ", source, version"

const runColumnCount = 16

// columnNames are those of a list in SQL.
func columnNames(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
}

// batch is how many runs one statement stores.
const batch = 100

// values returns the values of runColumns.
func values(r jobrun.Record) []any {
	observed := r.Source != ""
	return []any{
		r.Team, r.Project, r.Job, r.Run.ID, r.Run.Active, r.Run.BackoffLimit, r.Run.Completions, flag(r.Run.Concluded),
		r.Run.Failed, r.Run.RunName, r.Run.Status, r.Run.Succeeded, r.Run.StartedAt.Unix(), seconds(r.Run.ConcludedAt),
		sql.Null[string]{V: r.Source, Valid: observed}, sql.Null[int64]{V: r.Version, Valid: observed},
	}
}

// flag is how a boolean is stored, as the contract's flags are.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// seconds returns NULL for nil.
func seconds(t *time.Time) sql.Null[int64] {
	if t == nil {
		return sql.Null[int64]{}
	}
	return sql.Null[int64]{V: t.Unix(), Valid: true}
}

// instant returns nil for NULL.
func instant(s sql.Null[int64]) *time.Time {
	if !s.Valid {
		return nil
	}
	t := time.Unix(s.V, 0).UTC()
	return &t
}

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

// replaceRun lets a new record take the place of an old one, unless the old one was observed later, or concluded where
// the new one is an observation of a run that goes on.
func (e Engine) replaceRun() string {
	var b strings.Builder
	b.WriteString("ON CONFLICT (team, project, job, id) DO UPDATE SET ")
	for i, column := range slices.Concat(columnNames(runFields+", source, version"), e.Lease.Columns) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(column + " = excluded." + column)
	}
	b.WriteString(` WHERE excluded.source IS NULL OR (excluded.concluded >= runs.concluded
		AND (runs.version IS NULL OR excluded.version >= runs.version))`)
	return b.String()
}

// readRun is the query of a run by its key.
func (e Engine) readRun() string {
	return "SELECT id, " + runFields + ", " + e.Lease.lapsedSince() + " FROM runs WHERE team = $1 AND project = $2 AND job = $3 AND id = $4"
}

// Run implements server.Runs.
func (s *Store) Run(ctx context.Context, key jobrun.Key) (run *model.JobRun, final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	run, final, err = scanRun(s.queryRow(ctx, s.runQuery, key.Team, key.Project, key.Job, key.Run))
	return run, final, s.classify(err)
}

// Revision implements server.Revisions.
func (s *Store) Revision(ctx context.Context) (number int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.queryRow(ctx, "SELECT number FROM revision").Scan(&number)
	return number, s.classify(err)
}

// scanRun scans an id, runFields and lapsedSince, after the others, and returns the run as it is, and whether that is how
// it was stored to be for good. Returns nil if it fails.
func scanRun(row interface{ Scan(...any) error }, others ...any) (run *model.JobRun, final bool, err error) {
	run = new(model.JobRun)
	var started, isConcluded int64
	var concluded, lapsed sql.Null[int64]
	if err := row.Scan(append(others, &run.ID, &run.Active, &run.BackoffLimit, &run.Completions, &isConcluded, &run.Failed,
		&run.RunName, &run.Status, &run.Succeeded, &started, &concluded, &lapsed)...); err != nil {
		return nil, false, err
	}
	run.StartedAt, run.ConcludedAt = time.Unix(started, 0).UTC(), instant(concluded)
	run.Concluded = isConcluded != 0 // as in SQL, for another program may have written 2
	final = run.Concluded
	settle(run, lapsed)
	return run, final, nil
}

// Unconcluded returns the runs that were last observed at the source and had not concluded.
func (s *Store) Unconcluded(ctx context.Context, source string) ([]jobrun.Record, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT team, project, job, version, id, "+runFields+", "+s.engine.Lease.lapsedSince()+
		" FROM runs WHERE concluded = 0 AND source = $1", source)
	if err != nil {
		return nil, s.classify(err)
	}
	defer rows.Close()
	var records []jobrun.Record
	for rows.Next() {
		r := jobrun.Record{Source: source}
		run, _, err := scanRun(rows, &r.Team, &r.Project, &r.Job, &r.Version)
		if err != nil {
			return nil, s.classify(err)
		}
		r.Run = *run
		records = append(records, r)
	}
	return records, s.classify(rows.Err())
}

// PutRun stores the run, in place of the one of the same id and job if there is one, unless jobrun.Record says
// otherwise. Times lose their fractions of seconds.
// Returns an error that names the field and the rule if the run breaks the contract.
func (s *Store) PutRun(ctx context.Context, record jobrun.Record) error {
	return s.PutRuns(ctx, []jobrun.Record{record})
}

// PutRuns stores runs of different keys as PutRun does, with fewer statements. When it fails, some may be stored.
func (s *Store) PutRuns(ctx context.Context, records []jobrun.Record) error {
	// Whoever writes several locks them in the same order, so that two never wait for each other.
	records = slices.SortedFunc(slices.Values(records), func(a, b jobrun.Record) int {
		return slices.Compare([]string{a.Team, a.Project, a.Job, a.Run.ID}, []string{b.Team, b.Project, b.Job, b.Run.ID})
	})
	for some := range slices.Chunk(records, batch) {
		var statement strings.Builder
		var args []any
		statement.WriteString("INSERT INTO runs (" + runColumns + ", " + strings.Join(s.engine.Lease.Columns, ", ") + ") VALUES ")
		for i, r := range some {
			if i > 0 {
				statement.WriteString(", ")
			}
			leased := r.Leased && !r.Run.Concluded
			statement.WriteString("(" + s.engine.placeholders(len(args)+1, runColumnCount) + ", " + s.engine.Lease.valuesFor(leased) + ")")
			args = append(args, values(r)...)
		}
		statement.WriteString(" " + s.engine.replaceRun())
		if _, err := s.db.ExecContext(ctx, statement.String(), args...); err != nil {
			return s.classify(err)
		}
	}
	return nil
}

// ImportRuns stores all runs as PutRun does, or none of them if the sequence yields an error, which is returned. Of
// several records of a run the last one counts. Memory does not grow with their number, and others can write until the
// last run has been read.
func (s *Store) ImportRuns(ctx context.Context, records iter.Seq2[jobrun.Record, error]) error {
	var broken error // the sequence's own error
	err := s.engine.Import(ctx, s.db, Rows{Columns: columnNames(runColumns), OnConflict: s.engine.replaceRun(), Values: func(yield func([]any, error) bool) {
		for record, err := range records {
			if broken = err; err != nil {
				yield(nil, err)
				return
			}
			if !yield(values(record), nil) {
				return
			}
		}
	}})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return cmp.Or(broken, s.classify(err))
}
