package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/jobruns/jobruns/server/store"
)

// lease says that a recorder lives as long as it has a lock on one byte of the file beside the
// database: lease_lock, a number that each process chooses at random. The kernel knows of the lock
// whether the process runs, is stopped, sleeps with the machine or waits for the database, and
// removes it when the process ends. All containers of a machine see it, whatever their boot, clock or
// processes.
//
// Where there is no lock, a lease lasts for a time: an earlier program wrote it, the file cannot be
// made or read, or the file system or the operating system has no such locks. It counts on the
// machine's clock that does not jump when somebody sets the time of day, and that stands still while
// the machine is suspended. That clock starts anew with each boot, so the lease stores the boot too,
// or nothing where that cannot be read.
var lease = store.Lease{
	Columns: []string{"lease_boot", "lease_renewed", "lease_renewed_at", "lease_lock"},
	Values:  []string{"boot()", "steady()", "unixepoch()", "lease_lock(" + databaseFile + ")"},
	Time:    20 * time.Second,
	Running: "concluded = 0 AND lease_boot IS NOT NULL",
	Lapsed: "CASE WHEN lease_boot IS NOT NULL AND NOT coalesce(lease_locked(" + databaseFile + `, lease_lock),
		lease_renewed >= steady() - %d AND (lease_boot = boot() OR '' IN (lease_boot, boot()) AND lease_renewed <= steady()))
		THEN lease_renewed_at END`,
}

// databaseFile is the path of the database in SQL.
const databaseFile = "(SELECT file FROM pragma_database_list WHERE name = 'main')"

// leasesSuffix ends the name of the file of the locks.
const leasesSuffix = "-leases"

// init registers the SQL functions of the lease. lease_lock and lease_locked return NULL where locks
// do not help.
func init() {
	function := func(name string, args int32, f func(args []driver.Value) (driver.Value, error)) {
		sqlite.MustRegisterScalarFunction(name, args,
			func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) { return f(args) })
	}
	function("boot", 0, func([]driver.Value) (driver.Value, error) {
		boot, err := bootID()
		if err != nil {
			return "", nil // systemd's ProcSubset=pid hides it, for example
		}
		return boot, nil
	})
	function("steady", 0, func([]driver.Value) (driver.Value, error) {
		now, err := steadyClock()
		return now.Milliseconds(), err
	})
	function("lease_lock", 1, func(args []driver.Value) (driver.Value, error) {
		database, ok := args[0].(string)
		if !ok || lockLease(database) != nil {
			return nil, nil
		}
		return lockedByte, nil
	})
	function("lease_locked", 2, func(args []driver.Value) (driver.Value, error) {
		database, isFile := args[0].(string)
		at, isLock := args[1].(int64)
		if !isFile || !isLock {
			return nil, nil
		}
		locked, err := isLeaseLocked(database, at)
		if err != nil {
			return nil, nil
		}
		return locked, nil
	})
}

// lockedByte is the one that this process locks in each file of locks.
var lockedByte = rand.Int64()

// locks are the files in which this process has a lock, by their paths. They stay open until it
// ends.
var locks = struct {
	sync.Mutex
	files map[string]*os.File
}{files: map[string]*os.File{}}

// lockLease locks lockedByte in the file beside the database, unless this process has done so and the
// file is still the same.
func lockLease(database string) error {
	path := database + leasesSuffix
	locks.Lock()
	defer locks.Unlock()
	if locked := locks.files[path]; locked != nil {
		was, err := locked.Stat()
		if err != nil {
			return err
		}
		if is, err := os.Stat(path); err == nil && os.SameFile(is, was) {
			return nil
		}
	}
	file, err := openBeside(database, leasesSuffix)
	if err != nil {
		return err
	}
	if err := lockByte(file, lockedByte); err != nil {
		file.Close()
		return err
	}
	if removed := locks.files[path]; removed != nil {
		removed.Close()
	}
	locks.files[path] = file
	return nil
}

// isLeaseLocked reports whether any process has locked that byte of the file beside the database.
func isLeaseLocked(database string, at int64) (bool, error) {
	file, err := os.Open(database + leasesSuffix)
	if err != nil {
		return false, err
	}
	defer file.Close()
	locked, err := isByteLocked(file, at)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return locked, nil
}
