package sqlite

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// bootID returns the identifier of the machine's current boot (sysctl(3)).
func bootID() (string, error) {
	return unix.Sysctl("kern.bootsessionuuid")
}

// steadyClock returns how long the machine has run since its boot, not counting when it was
// suspended (clock_gettime(3)).
func steadyClock() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_UPTIME_RAW, &t)
	return time.Duration(t.Nano()), err
}

// lockByte locks nothing: there are no locks of open files.
func lockByte(*os.File, int64) error { return errors.ErrUnsupported }

// isByteLocked fails as lockByte does.
func isByteLocked(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }
