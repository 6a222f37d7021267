package sqlite

import (
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
