//go:build cgo || !linux || !amd64

package command

import (
	"os/signal"
	"syscall"
)

// What this process was started with, as far as Go tells of it: its runtime replaces the rest.
var (
	ignoredAtStart = ignoredFor(syscall.SIGHUP, syscall.SIGINT) // bit n-1: signal n was ignored
	closedAtStart  uint64                                       // bit n: file descriptor n was closed
)

func ignoredFor(signals ...syscall.Signal) (set uint64) {
	for _, s := range signals {
		if signal.Ignored(s) {
			set |= 1 << (s - 1)
		}
	}
	return set
}
