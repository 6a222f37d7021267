package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/store"
)

// primaryCode are the bits of a result code that tell its kind; the upper bits hold details
// (https://sqlite.org/rescode.html#extrc).
const primaryCode = 0xff

// openError returns an error of opening the file as one that names the file and says what to do. It
// wraps store.ErrUnusable if trying again does not help, and jobrun.ErrTimeout if another process
// has locked the file.
func openError(path string, err error) error {
	var failure *sqlite.Error
	switch {
	case errors.Is(err, store.ErrUnusable):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", store.ErrUnusable, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return cmp.Or(accessError(path), err)
	case errors.Is(err, syscall.ENOSPC):
		return cmp.Or(spaceError(path, err), err)
	case !errors.As(err, &failure):
		return fmt.Errorf("%s: %w", path, err)
	}
	switch failure.Code() & primaryCode {
	case lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: %s is not a SQLite database: give another path, or move the file away",
			store.ErrUnusable, path)
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %s is damaged: restore a backup (%w)", store.ErrUnusable, path, err)
	case lib.SQLITE_BUSY:
		return fmt.Errorf("%s: %w: another process may have locked it (%w)", path, jobrun.ErrTimeout, err)
	case lib.SQLITE_FULL:
		return cmp.Or(spaceError(path, err), fmt.Errorf("%s: no space is left for it, or for the temporary files of"+
			" SQLite, which are in TMPDIR or /var/tmp: %w", path, err))
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_IOERR:
		if known := cmp.Or(accessError(path), spaceError(path, err)); known != nil {
			return known
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// explain is store.Engine's Explain.
func explain(url string, err error) error {
	var failure *sqlite.Error
	path, absErr := filepath.Abs(Path(url))
	if !errors.As(err, &failure) || absErr != nil || strings.Contains(err.Error(), path) {
		return err // openError has explained an error that contains the path
	}
	switch failure.Code() & primaryCode {
	case lib.SQLITE_FULL, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_IOERR, lib.SQLITE_CORRUPT,
		lib.SQLITE_NOTADB:
		return openError(path, err)
	}
	return err
}

// classify returns what an error of SQLite is to a caller of the store, as store.Engine's Classify
// (https://sqlite.org/rescode.html).
func classify(err error) error {
	if errors.Is(err, jobrun.ErrTimeout) {
		return jobrun.ErrTimeout // of opening a connection
	}
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return nil
	}
	switch code := failure.Code(); code & primaryCode {
	case lib.SQLITE_CONSTRAINT:
		if code == lib.SQLITE_CONSTRAINT_UNIQUE || code == lib.SQLITE_CONSTRAINT_PRIMARYKEY {
			return store.ErrExists
		}
		return jobrun.ErrInvalid
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL: // after busy_timeout
		return jobrun.ErrTimeout
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_NOMEM:
		// The disk is full or away, or the process has used up its files or its memory. That may
		// pass.
		return jobrun.ErrUnavailable
	case lib.SQLITE_ERROR:
		if strings.Contains(failure.Error(), "no such table") { // maybe while a backup is restored
			return jobrun.ErrUnavailable
		}
	}
	// Anything else is a mistake in SQL, or a damaged or read-only file, which somebody has to
	// repair.
	return nil
}
