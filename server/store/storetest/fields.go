package storetest

import (
	"context"
	"database/sql"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// changeField changes a field of a run to another value that the contract allows.
func changeField(t *testing.T, run *model.JobRun, i int) {
	t.Helper()
	field := reflect.ValueOf(run).Elem().Field(i)
	switch value := field.Addr().Interface().(type) {
	case *model.Flag:
		*value = 1 - *value
	case *model.JobRunStatus:
		*value = model.JobRunStatusFailed
	case *int:
		*value++
	case *string:
		*value += "x"
	case *bool:
		*value = !*value
	case *time.Time:
		*value = value.Add(time.Second)
	case **time.Time:
		later := (*value).Add(time.Second)
		*value = &later
	default:
		t.Fatalf("how to change the field %s, a %s?", reflect.TypeFor[model.JobRun]().Field(i).Name, field.Type())
	}
	if !run.Concluded {
		run.ConcludedAt = nil // as the contract wants it
	}
}

// testEveryFieldIsStored changes one field after the other of a run that has concluded: the change
// is stored, and the revision tells of it.
func testEveryFieldIsStored(t *testing.T, on subject) {
	s, _ := on.open(t)
	for i := range reflect.TypeFor[model.JobRun]().NumField() {
		name := reflect.TypeFor[model.JobRun]().Field(i).Name
		Put(t, s, Record())
		before := revisionOf(t, s)
		changed := Record(func(r *jobrun.Record) { changeField(t, &r.Run, i) })
		Put(t, s, changed)
		WantRun(t, s, changed)
		if revisionOf(t, s) == before && name != "ID" { // another id is another run
			t.Errorf("a change of %s leaves the revision as it was", name)
		}
	}
}

// testEveryColumnIsWritten compares the columns of the table with those that a record is
// written to.
func testEveryColumnIsWritten(t *testing.T, on subject) {
	var written []string
	importRows := on.engine.Import
	on.engine.Import = func(ctx context.Context, db *sql.DB, rows store.Rows) error {
		written = slices.Clone(rows.Columns)
		return importRows(ctx, db, rows)
	}
	s, _ := on.open(t)
	if err := s.ImportRuns(t.Context(), sequence(1, nil)); err != nil {
		t.Fatal(err)
	}
	rows, err := s.DB().QueryContext(t.Context(), "SELECT * FROM runs")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(columns)
	slices.Sort(written)
	if !slices.Equal(columns, written) {
		t.Errorf(
			"the table has the columns %s\nand %s are written",
			strings.Join(columns, ", "),
			strings.Join(written, ", "),
		)
	}
}
