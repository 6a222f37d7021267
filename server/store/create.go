package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jobruns/jobruns/server/jobrun"
)

// CreateRun stores the run as PutRun does, but only if the store has none of its key, or one of the
// same name: a caller whose earlier attempt has stored it without an answer may try again.
// Returns an error that wraps ErrExists if there is another run of that key.
func (s *Store) CreateRun(ctx context.Context, record jobrun.Record) error {
	if err := s.checkStorable(&record); err != nil {
		return err
	}
	ctx, cancel := limit(ctx)
	defer cancel()
	lease := s.engine.Lease
	columns := strings.Join(slices.Concat(writtenColumns, lease.Columns), ", ")
	result, err := s.db.ExecContext(ctx, "INSERT INTO "+s.engine.table("runs")+" ("+columns+") VALUES ("+
		s.engine.placeholders(1, len(writtenColumns))+", "+lease.valuesFor(record.Leased && !record.Run.Concluded)+
		") ON CONFLICT ("+keyColumns+") DO NOTHING", values(&record)...)
	if err != nil {
		return s.classify(ctx, err)
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
