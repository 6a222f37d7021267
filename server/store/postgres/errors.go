package postgres

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// oneLine makes one line of pgx's error, which has a line for each attempt to connect: an address
// may be tried with and without TLS.
func oneLine(err error) error {
	lines := strings.Split(strings.ReplaceAll(err.Error(), "\n\t", "\n"), "\n")
	return rephrased{err, strings.Replace(strings.Join(slices.Compact(lines), "; "), ":; ", ": ", 1)}
}

// parseError removes the URL from pgx's error, which masks a password in it only as far as it finds
// one.
func parseError(err error) error {
	words := err.Error()
	words = strings.TrimPrefix(words[strings.LastIndex(words, "`: ")+1:], ": ")
	if strings.HasPrefix(words, "failed to parse as URL") { // with a quotation, which may be of a password
		words = "the URL cannot be parsed: write parameters as NAME=VALUE, and special characters as %XX"
	}
	return rephrased{err, words}
}

// rephrased is an error with another text.
type rephrased struct {
	error
	words string
}

func (r rephrased) Error() string { return r.words }
func (r rephrased) Unwrap() error { return r.error }

// classify returns what an error of pgx is to a caller of the store, as store.Engine's Classify.
func classify(err error) error {
	var connect *pgconn.ConnectError
	var config *pgconn.ParseConfigError
	var failure *pgconn.PgError
	var network net.Error
	switch {
	case errors.As(err, &connect), errors.As(err, &config): // a file that the URL names may be gone for now
		return jobrun.ErrUnavailable
	case errors.As(err, &failure):
		return classifyCode(failure.Code)
	case errors.As(err, &network) && network.Timeout():
		return jobrun.ErrTimeout
	case network != nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return jobrun.ErrUnavailable // the connection was lost
	case pgconn.SafeToRetry(err):
		return jobrun.ErrUnavailable // the connection was lost before the query was sent
	}
	return nil
}

// lockNotAvailable is the SQLSTATE of a wait that lock_timeout has ended.
const lockNotAvailable = "55P03"

// readOnly is the SQLSTATE read_only_sql_transaction: the server is a standby, or was the primary
// until a failover.
const readOnly = "25006"

// The SQLSTATEs undefined_table and invalid_schema_name: the tables are gone, maybe while a backup
// is restored.
const undefinedTable, undefinedSchema = "42P01", "3F000"

// classifyCode classifies an error by its SQLSTATE, whose first two characters are its class
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func classifyCode(code string) error {
	switch code {
	case "23505": // unique_violation
		return store.ErrExists
	case "57014", lockNotAvailable: // query_canceled, by statement_timeout
		return jobrun.ErrTimeout
	case "57P01", "57P02", "57P03", "57P05": // shutdown, crash, cannot_connect_now, idle_session_timeout
		return jobrun.ErrUnavailable
	case readOnly, undefinedTable, undefinedSchema:
		return jobrun.ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "22", "23": // data exception, integrity constraint violation
		return jobrun.ErrInvalid
	case "08", "40", "53", "58": // connection, transaction rollback, resources, system
		return jobrun.ErrUnavailable
	}
	return nil
}

// neverWorks reports whether the server refused what only another URL or database can change.
func neverWorks(err error) bool {
	var failure *pgconn.PgError
	if !errors.As(err, &failure) {
		return false
	}
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return failure.Code == "42P07" // duplicate_table: another program's
	}
	switch failure.Code {
	case "42704", "22023": // undefined_object, invalid_parameter_value: a parameter in the URL
		return true
	case "08P01": // protocol_violation, which is what PgBouncer says of a parameter that it does not know
		return strings.Contains(failure.Message, "unsupported startup parameter")
	}
	return false
}
