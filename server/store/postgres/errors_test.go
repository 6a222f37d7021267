package postgres

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

func TestClassify(t *testing.T) {
	code := func(code string) error { return fmt.Errorf("insert: %w", &pgconn.PgError{Code: code}) }
	for name, test := range map[string]struct{ err, want error }{
		"check_violation":            {code("23514"), jobrun.ErrInvalid},
		"numeric_value_out_of_range": {code("22003"), jobrun.ErrInvalid},
		"unique_violation":           {code("23505"), store.ErrExists},
		"too_many_connections":       {code("53300"), jobrun.ErrUnavailable},
		"disk_full":                  {code("53100"), jobrun.ErrUnavailable},
		"admin_shutdown":             {code("57P01"), jobrun.ErrUnavailable},
		"cannot_connect_now":         {code("57P03"), jobrun.ErrUnavailable},
		"connection_failure":         {code("08006"), jobrun.ErrUnavailable},
		"deadlock_detected":          {code("40P01"), jobrun.ErrUnavailable},
		"read_only_sql_transaction":  {code("25006"), jobrun.ErrUnavailable},
		"query_canceled":             {code("57014"), jobrun.ErrTimeout},
		"lock_not_available":         {code("55P03"), jobrun.ErrTimeout},
		"undefined_table":            {code("42P01"), jobrun.ErrUnavailable},
		"invalid_schema_name":        {code("3F000"), jobrun.ErrUnavailable},
		"undefined_column":           {code("42703"), nil},
		"syntax_error":               {code("42601"), nil},
		"insufficient_privilege":     {code("42501"), nil},
		"database_dropped":           {code("57P04"), nil},
		"no code":                    {code(""), nil},
		"a file of the URL that is gone": {
			pgconn.NewParseConfigError("postgres://h?sslrootcert=x", "no such file", os.ErrNotExist), jobrun.ErrUnavailable,
		},
		"a connection that is refused": {&net.OpError{Op: "dial", Err: os.ErrNotExist}, jobrun.ErrUnavailable},
		"a connection that ended":      {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), jobrun.ErrUnavailable},
		"a connection that timed out":  {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, jobrun.ErrTimeout},
		"any other":                    {errors.New("a mistake"), nil},
	} {
		if got := classify(test.err); !errors.Is(got, test.want) || !errors.Is(test.want, got) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestRedactShowsHostsAndDatabase(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:hush@h1:5433,h2/d?password=hush&sslpassword=hush": "postgres://h1:5433,h2/d",
		"postgresql://h/d":              "postgresql://h/d",
		"postgres:///d?host=/run&user=": "postgres:///d",
		"postgres://u:p%40hush@h/d":     "postgres://h/d",
		"postgres://u:p@hush@h/d":       "postgres://...",
		"postgres://u:p@hush/a@h/d":     "postgres://...",
		"postgres://h/d?password=a@b":   "postgres://...",
		"postgres://u:hush/d":           "postgres://...",
	} {
		if got := redact(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestExplainMakesOneLine(t *testing.T) {
	lines := fmt.Errorf("failed to connect to `user=u database=d`:\n\t[::1]:1 (h): %w"+
		"\n\t1.1.1.1:1 (h): no\n\t1.1.1.1:1 (h): no", io.EOF)
	got := Engine.Explain("", lines)
	const want = "failed to connect to `user=u database=d`: [::1]:1 (h): EOF; 1.1.1.1:1 (h): no"
	if got.Error() != want || !errors.Is(got, io.EOF) {
		t.Errorf("got %v\nwant %s", got, want)
	}
}
