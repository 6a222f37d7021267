package sqlite

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootID names the machine's boot (sysctl(3)).
func bootID() (string, error) {
	return unix.Sysctl("kern.bootsessionuuid")
}

// steadyClock is the machine's clock since it was started, while it was not suspended (clock_gettime(3)).
func steadyClock() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_UPTIME_RAW, &t)
	return time.Duration(t.Nano()), err
}
