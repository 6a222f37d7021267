package command

import "golang.org/x/sys/unix"

// clock does not jump when somebody sets the time of day, and counts the time that the machine is
// suspended (clock_gettime(2)).
const clock = unix.CLOCK_BOOTTIME
