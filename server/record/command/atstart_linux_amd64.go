//go:build !cgo

package command

// What this process was started with. Go's runtime replaces it before any Go code runs: it catches
// all signals but a few, and opens /dev/null for a standard stream that is closed. Only assembly can
// look before that, from the hook that the runtime calls for cgo (_cgo_init in its asm_amd64.s),
// which is free in a program that is built without cgo. TestJobrunIgnoresWhatItWasStartedToIgnore and
// TestJobrunLeavesClosedStreamsClosed fail if a later Go has no such hook.
var (
	ignoredAtStart uint64 // bit n-1: signal n was ignored
	closedAtStart  uint64 // bit n: file descriptor n was closed
)

// storage is the first thread's. The runtime stores one pointer there, to the current goroutine, of
// which it has others that the garbage collector knows.
var storage [2]uintptr
