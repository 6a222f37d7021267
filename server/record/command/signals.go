package command

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// passed are the signals that the command gets. One that this process was started to ignore is left
// ignored, as it then is for the command too.
var passed = []os.Signal{
	syscall.SIGHUP,
	syscall.SIGINT,
	syscall.SIGQUIT,
	syscall.SIGTERM,
	syscall.SIGUSR1,
	syscall.SIGUSR2,
	syscall.SIGWINCH,
}

// ending are those that ask a process to end.
var ending = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}

// typed are those that a terminal sends to every process in its foreground, the command among them.
var typed = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH}

// How long recording may take after the command. Supervisors kill a process 10 seconds after they
// asked it to end, and what could not be recorded must be told before.
const (
	lastChance  = 9 * time.Second
	afterSignal = time.Second // since a signal that asks a process to end that has nothing to do but to record
)

// signals catches this process's signals for the command, until the process ends.
type signals struct {
	caught  chan os.Signal
	askedAt time.Time // when a signal first asked to end, if one did
}

func catchSignals() *signals {
	s := &signals{caught: make(chan os.Signal, 16)}
	for _, sig := range passed {
		if !signal.Ignored(sig) {
			signal.Notify(s.caught, sig)
		}
	}
	// Caught and dropped: otherwise a warning on a standard error that nobody reads any more would
	// end this process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return s
}

// asked reports whether a signal asked to end.
func (s *signals) asked() bool { return !s.askedAt.IsZero() }

// note remembers when a signal first asked to end. Reports whether this one did.
func (s *signals) note(sig os.Signal) bool {
	asks := slices.Contains(ending, sig)
	if asks && !s.asked() {
		s.askedAt = time.Now()
	}
	return asks
}

// remaining returns a context that ends when recording must: lastChance after the command has ended,
// that is now, or after a signal asked it to, and soon after a further signal. The context's end
// leaves time to tell of it.
func (s *signals) remaining() (context.Context, context.CancelFunc) {
	limit := lastChance
	if s.asked() {
		limit = max(lastChance-time.Since(s.askedAt), afterSignal)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	go func() {
		for sig := range s.caught {
			if slices.Contains(ending, sig) {
				time.AfterFunc(afterSignal, cancel)
			}
		}
	}()
	return ctx, cancel
}

// passTo passes signals on to the process until wait returns.
func (s *signals) passTo(process *os.Process, wait func()) {
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		wait()
	}()
	for {
		select {
		case <-exited:
			return
		case sig := <-s.caught:
			s.note(sig)
			if !slices.Contains(typed, sig) || !inForeground() {
				_ = process.Signal(sig) // it may have ended just now
			}
		}
	}
}

// sleep returns false if a signal asked to end before the delay was over.
func (s *signals) sleep(delay time.Duration) bool {
	over := time.NewTimer(delay)
	defer over.Stop()
	for {
		select {
		case <-over.C:
			return true
		case sig := <-s.caught:
			if s.note(sig) {
				return false
			}
		}
	}
}

// inForeground reports whether this process, and so the command, is in the foreground of a
// terminal.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
