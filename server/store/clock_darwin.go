package store

import (
	"time"

	"golang.org/x/sys/unix"
)

// newSteady returns the machine's clock since it was started (clock_gettime(3), sysctl(3)).
func newSteady() (steady, error) {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	return steady{boot: boot, now: readClock}, err
}

func readClock() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_UPTIME_RAW, &t)
	return time.Duration(t.Nano()), err
}
