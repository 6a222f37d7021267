package store

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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

// keyLength is the number of keyColumns, with which writtenColumns begin.
const keyLength = 4

var (
	// fieldColumns are the columns of all fields, separated by commas.
	fieldColumns = strings.Join(columnsOf(fields), ", ")
	// writtenColumns are the columns of which values returns the values: all columns. The last three
	// are those of a renewal.
	writtenColumns = slices.Concat([]string{"team", "project", "job"}, columnsOf(fields),
		[]string{"source", "version", "outcome", "log", "heartbeat_timeout", "lost_at", "reported_at"})
)

func columnsOf(fields []field) []string {
	columns := make([]string, len(fields))
	for i, f := range fields {
		columns[i] = f.column
	}
	return columns
}

// row is a row of the table runs.
type row struct {
	jobrun.Record
	// lostAt is when the run is lost, on the count of the table listening. In a run that has concluded,
	// it means that a server has concluded it.
	lostAt  sql.Null[int64]
	heardAt sql.Null[int64] // the time of the last report, in seconds since 1970
}

// state returns what the state of the job depends on; the zero value if the row is not stored.
func (r *row) state() jobrun.RunState {
	if r.Run.RunName == "" {
		return jobrun.RunState{}
	}
	return jobrun.RunState{
		ID: r.Run.ID, Status: r.Run.Status, StartedAt: r.Run.StartedAt, ConcludedAt: r.Run.ConcludedAt,
		Lost: r.Run.Concluded && r.lostAt.Valid,
	}
}

// values returns the values of writtenColumns. Some are pointers into the row.
func values(r *row) []any {
	values := make([]any, 0, len(writtenColumns))
	values = append(values, r.Team, r.Project, r.Job)
	for _, f := range fields {
		values = append(values, f.in(&r.Run))
	}
	observed := r.Source != ""
	return append(values, sql.Null[string]{V: r.Source, Valid: observed}, sql.Null[int64]{V: r.Version, Valid: observed},
		encode(r.Outcome, r.Outcome != nil), encode(r.Log, r.Log != nil),
		sql.Null[int64]{V: int64(r.HeartbeatTimeout), Valid: r.HeartbeatTimeout > 0}, r.lostAt, r.heardAt)
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
			return nil, fmt.Errorf("the contract requires the field %q of a run, and the store has no column for it", name)
		}
	}
	return optional, nil
}

// checkStorable returns an error that wraps jobrun.ErrInvalid and names the field if the run has
// one that the store has no column for, or if jobrun.CheckName refuses its name or
// jobrun.CheckOutcome its outcome. The constraints of the tables check the other fields.
func (s *Store) checkStorable(r *jobrun.Record) error {
	if err := cmp.Or(jobrun.CheckName(r.Run.RunName), jobrun.CheckOutcome(*r)); err != nil {
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

// boolean is stored as 0 or 1, as the contract's flags are.
type boolean bool

// Scan takes any number but 0 for true, as the conditions in SQL do.
func (b *boolean) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("%T is not a number", value)
	}
	*b = n != 0
	return nil
}

// Value returns 0 or 1.
func (b *boolean) Value() (driver.Value, error) {
	if *b {
		return int64(1), nil
	}
	return int64(0), nil
}

// seconds is stored as whole seconds since 1970; fractions are dropped. It is in UTC when scanned.
type seconds time.Time

// Scan takes a number of seconds.
func (s *seconds) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("%T is not a number of seconds", value)
	}
	*s = seconds(time.Unix(n, 0).UTC())
	return nil
}

// Value returns a number of seconds.
func (s *seconds) Value() (driver.Value, error) { return time.Time(*s).Unix(), nil }

// nullSeconds is seconds for a time that may be nil, which is stored as NULL.
type nullSeconds struct{ time **time.Time }

// Scan takes a number of seconds or nil.
func (s nullSeconds) Scan(value any) error {
	*s.time = nil
	if value == nil {
		return nil
	}
	var t time.Time
	*s.time = &t
	return (*seconds)(&t).Scan(value)
}

// Value returns a number of seconds or nil.
func (s nullSeconds) Value() (driver.Value, error) {
	if *s.time == nil {
		return nil, nil
	}
	return (*s.time).Unix(), nil
}

// list is stored as a JSON array of strings, never null.
type list []string

// Scan takes a JSON array of strings.
func (l *list) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%T is not a JSON array", value)
	}
	return json.Unmarshal([]byte(text), l)
}

// Value returns a JSON array; it is empty for nil.
func (l *list) Value() (driver.Value, error) {
	if *l == nil {
		return "[]", nil
	}
	text, err := json.Marshal(*l)
	return string(text), err
}
