package sqlite

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootID returns the identifier of the machine's current boot (random(4)).
func bootID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)), err
}

// steadyClock returns how long the machine has run since its boot, not counting when it was
// suspended (clock_gettime(2)).
func steadyClock() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano()), err
}

// lockByte locks one byte of the file, which may be beyond its end, until the file is closed or the
// process ends. The lock belongs to the open file, so that the file can be opened and closed again
// meanwhile (fcntl(2), "Open file description locks"). Several may lock the same byte: a shared lock
// needs no permission to write.
func lockByte(file *os.File, at int64) error {
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1})
}

// isByteLocked reports whether anybody else has locked that byte of the file.
func isByteLocked(file *os.File, at int64) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock)
	return lock.Type != unix.F_UNLCK, err
}
