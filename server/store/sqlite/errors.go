package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// primaryCode are the bits of a result code that tell its kind; the upper bits hold details
// (https://sqlite.org/rescode.html#extrc).
const primaryCode = 0xff

// explain replaces SQLite's error by one that says what to do about it, if it can.
func explain(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & primaryCode {
	case lib.SQLITE_NOTADB:
		return errors.New("the file is not a SQLite database: give another path, or move the file away")
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the database is damaged: restore a backup (%w)", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("the file or its directory cannot be written: check who owns them (%w)", err)
	}
	return err
}

// classify returns what an error of SQLite is to a caller of the store, as store.Engine's Classify
// (https://sqlite.org/rescode.html).
func classify(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return nil
	}
	switch code := failure.Code(); code & primaryCode {
	case lib.SQLITE_CONSTRAINT:
		if code == lib.SQLITE_CONSTRAINT_UNIQUE {
			return store.ErrExists
		}
		return jobrun.ErrInvalid
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL: // after busy_timeout
		return jobrun.ErrTimeout
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_NOMEM:
		// The disk is full or away, or the process has used up its files or its memory. That may
		// pass.
		return jobrun.ErrUnavailable
	}
	// Anything else is a mistake in SQL, or a damaged or read-only file, which somebody has to
	// repair.
	return nil
}
