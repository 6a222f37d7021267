package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
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
