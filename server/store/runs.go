package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"iter"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server"
)

// runFields are the columns that hold the fields of a run, in the contract's order but for the id.
const runFields = `active, backoff_limit, completions, concluded, failed, run_name, status, succeeded, started_at,
	concluded_at`

const leaseFields = "lease_boot, lease_renewed, lease_renewed_at"

const runColumns = "team, project, job, id, " + runFields + ", " + leaseFields

const runValues = " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "

// replaceRun lets a new record take the place of an old one.
const replaceRun = `ON CONFLICT (team, project, job, id) DO UPDATE SET active = excluded.active,
	backoff_limit = excluded.backoff_limit, completions = excluded.completions, concluded = excluded.concluded,
	failed = excluded.failed, run_name = excluded.run_name, status = excluded.status, succeeded = excluded.succeeded,
	started_at = excluded.started_at, concluded_at = excluded.concluded_at, lease_boot = excluded.lease_boot,
	lease_renewed = excluded.lease_renewed, lease_renewed_at = excluded.lease_renewed_at`

// values returns the values of runColumns.
func values(r server.Record, l lease) []any {
	return []any{
		r.Team, r.Project, r.Job, r.Run.ID, r.Run.Active, r.Run.BackoffLimit, r.Run.Completions, r.Run.Concluded,
		r.Run.Failed, r.Run.RunName, r.Run.Status, r.Run.Succeeded, r.Run.StartedAt.Unix(), seconds(r.Run.ConcludedAt),
		l.boot, l.renewed, l.renewedAt,
	}
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

// Run implements server.Runs.
func (s *Store) Run(ctx context.Context, key server.RunKey) (*model.JobRun, error) {
	run, l, err := scanRun(s.db.QueryRowContext(ctx,
		"SELECT id, "+runFields+", "+leaseFields+" FROM runs WHERE team = $1 AND project = $2 AND job = $3 AND id = $4",
		key.Team, key.Project, key.Job, key.Run))
	if err != nil {
		return nil, classify(err)
	}
	return run, s.clock.settle(run, l)
}

// scanRun scans an id, runFields and leaseFields, after the others.
func scanRun(row interface{ Scan(...any) error }, others ...any) (*model.JobRun, lease, error) {
	run := new(model.JobRun)
	var l lease
	var started int64
	var concluded sql.Null[int64]
	err := row.Scan(append(others, &run.ID, &run.Active, &run.BackoffLimit, &run.Completions, &run.Concluded, &run.Failed,
		&run.RunName, &run.Status, &run.Succeeded, &started, &concluded, &l.boot, &l.renewed, &l.renewedAt)...)
	run.StartedAt, run.ConcludedAt = time.Unix(started, 0).UTC(), instant(concluded)
	return run, l, err
}

// PutRun stores the run, in place of the one of the same id and job if there is one. Times lose their fractions of
// seconds.
// Returns an error that names the field and the rule if the run breaks the contract.
func (s *Store) PutRun(ctx context.Context, record server.Record) error {
	l, err := s.clock.renew(record)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "INSERT INTO runs ("+runColumns+")"+runValues+replaceRun, values(record, l)...)
	return classify(err)
}

// ImportRuns stores all runs as PutRun does, or none of them if the sequence yields an error, which is returned. Memory
// does not grow with their number, and others can write until the last run has been read.
func (s *Store) ImportRuns(ctx context.Context, records iter.Seq2[server.Record, error]) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	defer conn.Close()
	// A temporary table lies in a file of its own, which nobody else waits for. It goes with the connection.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	if _, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE imported AS SELECT "+runColumns+" FROM runs WHERE false"); err != nil {
		return classify(err)
	}
	// Not BeginTx, which would lock out other writers from here on.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return classify(err)
	}
	if err := importRuns(ctx, conn, records); err != nil {
		return err // closing the connection rolls back
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return classify(err)
}

func importRuns(ctx context.Context, conn *sql.Conn, records iter.Seq2[server.Record, error]) error {
	insert, err := conn.PrepareContext(ctx, "INSERT INTO imported"+runValues)
	if err != nil {
		return classify(err)
	}
	defer insert.Close()
	for record, err := range records {
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values(record, lease{})...); err != nil {
			return classify(err)
		}
	}
	_, err = conn.ExecContext(ctx, "INSERT INTO runs ("+runColumns+") SELECT * FROM imported WHERE true ORDER BY team, project, job, id, rowid "+replaceRun)
	return classify(err)
}
