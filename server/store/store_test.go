package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

func TestOpenRefusesAContractWithARequiredFieldThatIsNotStored(t *testing.T) {
	all := fields
	defer func() { fields = all }()
	fields = all[:len(all)-1]
	if _, err := Open(t.Context(), "x:"); err == nil || !strings.Contains(err.Error(), `"`+all[len(all)-1].name+`"`) {
		t.Errorf("%v, want the field %s to be named", err, all[len(all)-1].name)
	}
	type run struct {
		ID   string  `json:"id"`
		Note *string `json:"note,omitempty"`
	}
	if optional, err := checkFields(reflect.TypeFor[run](), fields); err != nil || !slices.Equal(optional, []int{1}) {
		t.Errorf("optional fields %v, %v; want the index of note", optional, err)
	}
}

// TestPutRunRefusesAFieldThatIsNotStored takes a field for one that the contract does not require.
func TestPutRunRefusesAFieldThatIsNotStored(t *testing.T) {
	field, _ := reflect.TypeFor[model.JobRun]().FieldByName("Completions")
	s := &Store{unstored: field.Index}
	r := jobrun.Record{Run: model.JobRun{Completions: 1}}
	if err := s.PutRun(t.Context(), r); !errors.Is(err, jobrun.ErrInvalid) ||
		!strings.Contains(err.Error(), `"completions"`) {
		t.Errorf("%v, want ErrInvalid and the field completions", err)
	}
	err := s.checkStorable(&jobrun.Record{Run: model.JobRun{BackoffLimit: 1}})
	if err != nil {
		t.Errorf("a run without the field: %v", err)
	}
}

// silent is a database that never answers.
type silent struct{ driver.Connector }

func (silent) Connect(ctx context.Context) (driver.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestQueryOfASilentDatabaseTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), "x:", Engine{
			Takes: func(string) bool { return true },
			Connect: func(context.Context, string, bool) (*sql.DB, func() error, error) {
				return sql.OpenDB(silent{}), nil, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		begin := time.Now()
		_, err = s.Run(t.Context(), jobrun.Key{})
		if !errors.Is(err, jobrun.ErrTimeout) || !errors.Is(err, jobrun.ErrUnavailable) || time.Since(begin) != readTimeout {
			t.Errorf("%v after %s, want ErrTimeout after %s", err, time.Since(begin), readTimeout)
		}
	})
}

func TestOpenDoesNotRepeatAURLThatNoEngineTakes(t *testing.T) {
	none := Engine{Form: "form:PATH", Takes: func(string) bool { return false }}
	const want = "this store cannot be used: its URL is not of the form form:PATH"
	for _, url := range []string{
		"host=db1 user=u password=hush", "u:hush@db1/jobs", "mysql://u:hush@h/d", "hush", "Postgres://u:hush@h/d", "",
	} {
		if _, err := Open(t.Context(), url, none); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", url, err, want)
		}
	}
}
