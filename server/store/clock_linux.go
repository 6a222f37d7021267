package store

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// newSteady returns the machine's clock since it was started (clock_gettime(2), random(4)).
func newSteady() (steady, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return steady{boot: strings.TrimSpace(string(boot)), now: readClock}, err
}

func readClock() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano()), err
}
