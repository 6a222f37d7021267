package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// A lease counts on the machine's clock that does not jump when the time of day is set, and stands still while the
// machine is suspended. It starts anew with each boot, so the boot is stored with it.
var sqliteLease = Lease{
	Columns: []string{"lease_boot", "lease_renewed", "lease_renewed_at"},
	Values:  []string{"boot()", "steady()", "unixepoch()"},
	Clock:   "steady()",
	Counts:  "lease_boot = boot()",
	Lapsed: `CASE WHEN lease_boot IS NOT NULL AND (lease_boot <> boot() OR lease_renewed < steady() - %d)
		THEN lease_renewed_at END`,
}

var sqliteEngine = Engine{
	Form:         "sqlite:PATH",
	Takes:        func(url string) bool { return strings.HasPrefix(url, sqlitePrefix) && url != sqlitePrefix },
	Connect:      connectSQLite,
	Lease:        sqliteLease,
	Prepares:     true,
	Parameter:    '?',
	Import:       importSQLite,
	Follow:       followSQLite,
	RefusedValue: isSQLiteConstraint,
	IsDuplicate:  isSQLiteDuplicate,
}

const sqlitePrefix = "sqlite:"

//go:embed migrations
var sqliteMigrations embed.FS

// The SQL functions boot, the machine's boot, and steady, its clock since then in milliseconds.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("boot", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return bootID()
	})
	sqlite.MustRegisterScalarFunction("steady", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		now, err := steadyClock()
		return now.Milliseconds(), err
	})
}

// applicationID says of a file that it is ours: "jobr" (https://sqlite.org/fileformat2.html#application_id).
const applicationID = 1785684594

// sqliteConnections bounds how many readers run at once, each with a memory of its own. SQLite has one writer at a time
// whatever the number.
const sqliteConnections = 4

// sqliteOptions hold for each connection. WAL lets readers go on while another process writes; FULL makes a commit
// outlive a power loss; a writer waits for its turn, and takes it when its transaction begins, so that it cannot find
// out halfway that another was faster. Half a megabyte keeps the upper pages of a table: the system keeps the others.
var sqliteOptions = url.Values{
	"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(FILE)", "cache_size(-512)"},
	"_txlock": {"immediate"},
}

func connectSQLite(ctx context.Context, text string) (*sql.DB, error) {
	path := strings.TrimPrefix(text, sqlitePrefix)
	// SQLite's own errors name neither the file nor the reason.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute, RawQuery: sqliteOptions.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	if err := migrateSQLite(ctx, db, filepath.Dir(absolute)); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}

// explain says in words what SQLite says in numbers.
func explain(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & 0xff { // the upper bits hold details: https://sqlite.org/rescode.html
	case lib.SQLITE_NOTADB:
		return errors.New("the file is not a SQLite database: give another path, or move the file away")
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the database is damaged: restore a backup (%w)", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("the file or its directory cannot be written: check who owns them (%w)", err)
	}
	return err
}

// migrateSQLite brings the schema up to date. Of several processes that start at once one does it, the others wait:
// they lock the directory of the file, because SQLite's own locks vanish when the process opens and closes the file
// once more (https://sqlite.org/howtocorrupt.html, section 2.2).
func migrateSQLite(ctx context.Context, db *sql.DB, directory string) error {
	files, err := fs.Sub(sqliteMigrations, "migrations")
	if err != nil {
		return err
	}
	lock, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	var id int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		if current, err := IsCurrent(ctx, db, files); err != nil || current {
			return err
		}
	} else if err := claim(ctx, db); err != nil {
		return err
	}
	return Migrate(ctx, goose.DialectSQLite3, db, files)
}

// claim marks an empty database as ours. That comes before the first table, so that the database is ours even when this
// process is killed halfway.
func claim(ctx context.Context, db *sql.DB) error {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return errors.New("the database belongs to another program: give another path")
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	return err
}

// importSQLite first collects the runs in a temporary table, which lies in a file of its own that nobody else waits for,
// so that others can write until the last run has been read.
func importSQLite(ctx context.Context, db *sql.DB, rows Rows) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The temporary table goes with the connection.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	columns := strings.Join(rows.Columns, ", ")
	if _, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE imported AS SELECT "+columns+" FROM runs WHERE false"); err != nil {
		return err
	}
	// Not BeginTx, which would lock out other writers from here on.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	insert, err := conn.PrepareContext(ctx, "INSERT INTO imported VALUES (?"+strings.Repeat(", ?", len(rows.Columns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for row, err := range rows.Values {
		if err != nil {
			return err // closing the connection rolls back
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "INSERT INTO runs ("+columns+") SELECT * FROM imported WHERE true ORDER BY team, project, job, id, rowid "+
		rows.OnConflict); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// isSQLiteConstraint reports whether a constraint of the schema refused a value.
func isSQLiteConstraint(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code()&0xff == lib.SQLITE_CONSTRAINT
}

func isSQLiteDuplicate(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code() == lib.SQLITE_CONSTRAINT_UNIQUE
}
