package store

import (
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// field says in which column a field of the contract's run is stored.
type field struct {
	name   string // in JSON
	column string
	// in returns a pointer into the run, as database/sql takes it for a parameter and for Scan. Its
	// type says how the field is converted, both ways.
	in func(*model.JobRun) any
}

// fields are the fields of the contract's run that are stored. What is read, written and replaced
// follows from them; a test compares what the triggers of the table revision look at.
var fields = []field{
	{"id", "id", func(r *model.JobRun) any { return &r.ID }},
	{"active", "active", func(r *model.JobRun) any { return &r.Active }},
	{"backoffLimit", "backoff_limit", func(r *model.JobRun) any { return &r.BackoffLimit }},
	{"completions", "completions", func(r *model.JobRun) any { return &r.Completions }},
	{"concluded", "concluded", func(r *model.JobRun) any { return (*boolean)(&r.Concluded) }},
	{"failed", "failed", func(r *model.JobRun) any { return &r.Failed }},
	{"runName", "run_name", func(r *model.JobRun) any { return &r.RunName }},
	{"status", "status", func(r *model.JobRun) any { return &r.Status }},
	{"succeeded", "succeeded", func(r *model.JobRun) any { return &r.Succeeded }},
	{"startedAt", "started_at", func(r *model.JobRun) any { return (*seconds)(&r.StartedAt) }},
	{"concludedAt", "concluded_at", func(r *model.JobRun) any { return nullSeconds{&r.ConcludedAt} }},
}

// keyColumns are the primary key of the table runs, in the order of jobrun.Key.
const keyColumns = "team, project, job, id"

var (
	// fieldColumns are the columns of all fields, separated by commas.
	fieldColumns = strings.Join(columnsOf(fields), ", ")
	// writtenColumns are the columns of which values returns the values: all but the lease.
	writtenColumns = slices.Concat(
		[]string{"team", "project", "job"}, columnsOf(fields), []string{"source", "version"}, outcomeColumns)
)

func columnsOf(fields []field) []string {
	columns := make([]string, len(fields))
	for i, f := range fields {
		columns[i] = f.column
	}
	return columns
}

// values returns the values of writtenColumns. Some are pointers into the record.
func values(r *jobrun.Record) []any {
	values := make([]any, 0, len(writtenColumns))
	values = append(values, r.Team, r.Project, r.Job)
	for _, f := range fields {
		values = append(values, f.in(&r.Run))
	}
	observed := r.Source != ""
	return append(
		values,
		sql.Null[string]{V: r.Source, Valid: observed},
		sql.Null[int64]{V: r.Version, Valid: observed},
		encodeOutcome(r),
		encodeOutput(r),
	)
}

// checkFields compares the type of the contract's run with what is stored of it. It returns the
// indices of the optional fields that are not stored: a run that has one of them is not stored
// either.
// Returns an error that names a required field that is not stored.
func checkFields(run reflect.Type, stored []field) (optional []int, err error) {
	columns := map[string]bool{}
	for _, f := range stored {
		columns[f.name] = true
	}
	for i := range run.NumField() {
		name, options, _ := strings.Cut(run.Field(i).Tag.Get("json"), ",")
		switch {
		case columns[name]:
		case strings.Contains(options, "omitempty"): // so the generator marks optional fields
			optional = append(optional, i)
		default:
			return nil, fmt.Errorf(
				"the contract requires the field %q of a run, and the store has no column for it",
				name,
			)
		}
	}
	return optional, nil
}

// checkStorable returns an error that wraps jobrun.ErrInvalid and names the field if the run has
// one that the store has no column for, or a name that jobrun.CheckName refuses.
func (s *Store) checkStorable(r *jobrun.Record) error {
	if err := jobrun.CheckName(r.Run.RunName); err != nil {
		return fmt.Errorf("%w: %w", jobrun.ErrInvalid, err)
	}
	for _, i := range s.unstored {
		if run := reflect.ValueOf(&r.Run).Elem(); !run.Field(i).IsZero() {
			name, _, _ := strings.Cut(run.Type().Field(i).Tag.Get("json"), ",")
			return fmt.Errorf("%w: the store has no column for the field %q", jobrun.ErrInvalid, name)
		}
	}
	return nil
}
