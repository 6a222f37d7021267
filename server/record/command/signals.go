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

// maxSignal is the highest number of a signal on Linux, and higher than any on other systems.
const maxSignal = 64

// notPassed are signals that the command does not get from this process: those that no process can
// catch, that stop and continue it, that this process gets because of its child and of Go's
// scheduler, and that a write to a stream that nobody reads any more causes.
var notPassed = []syscall.Signal{
	syscall.SIGKILL, syscall.SIGSTOP,
	syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT,
	syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE,
}

// ending are those that ask a process to end.
var ending = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}

// typed are those that a terminal sends to every process in its foreground, the command among them.
var typed = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH}

// How long recording may take after the command. Supervisors kill a process 10 seconds after they
// asked it to end, and what could not be recorded must be told before.
const (
	lastChance  = 9 * time.Second
	afterSignal = time.Second // since a signal that asks to end what does nothing but record
)

// settle is how long a signal waits for others of the same sender: timeout(1) signals a process and
// then its group, and systemd all processes of a service one after another.
const settle = 50 * time.Millisecond

// signals catches this process's signals for the command, until the process ends. It ignores those
// that were ignored when the process was started, and Go has the command ignore them too.
type signals struct {
	caught  chan os.Signal
	askedAt time.Time // when a signal first asked to end, if one did
	askedBy syscall.Signal
	witness *witness // nil if there is none
}

func catchSignals() *signals {
	s := &signals{caught: make(chan os.Signal, maxSignal)}
	ignoreAgain()
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if !ignored(sig) && !slices.Contains(notPassed, sig) {
			signal.Notify(s.caught, sig)
		}
	}
	if !ignored(syscall.SIGPIPE) {
		// Caught and dropped: otherwise a warning on a standard error that nobody reads any more
		// would end this process.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
	return s
}

// ignored reports whether the signal was ignored when this process was started.
func ignored(sig syscall.Signal) bool { return ignoredAtStart&(1<<(sig-1)) != 0 }

// ignoreAgain has this process ignore what was ignored when it was started, and so what it starts.
// The exception is SIGCHLD, see startIgnoringChildren.
func ignoreAgain() {
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if ignored(sig) && sig != syscall.SIGCHLD {
			signal.Ignore(sig)
		}
	}
}

// asked reports whether a signal asked to end.
func (s *signals) asked() bool { return !s.askedAt.IsZero() }

// note remembers when a signal first asked to end. Reports whether this one did.
func (s *signals) note(sig os.Signal) bool {
	asks := slices.Contains(ending, sig)
	if asks && !s.asked() {
		s.askedAt, s.askedBy = time.Now(), sig.(syscall.Signal)
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

// caughtSignal is a signal that waits to be passed on.
type caughtSignal struct {
	os.Signal
	at time.Time
}

// passTo passes signals on to the process until wait returns.
func (s *signals) passTo(process *os.Process, wait func()) {
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		wait()
	}()
	var waiting []caughtSignal
	var settled <-chan time.Time // when the first of them has waited long enough
	noWitness := time.After(witnessDelay)
	for {
		select {
		case <-exited:
			return
		case <-noWitness:
			if s.witness == nil {
				s.witness = startWitness()
			}
		case sig := <-s.caught:
			s.note(sig)
			if waiting = append(waiting, caughtSignal{sig, time.Now()}); len(waiting) == 1 {
				settled = time.After(settle)
			}
		case <-settled:
			alive := s.witness != nil && s.witness.listen()
			if !s.reached(process, waiting[0]) {
				_ = process.Signal(waiting[0].Signal) // it may have ended just now
			}
			if !alive {
				s.witness, noWitness = nil, time.After(witnessDelay)
			}
			if waiting = waiting[1:]; len(waiting) > 0 {
				settled = time.After(settle - time.Since(waiting[0].at))
			}
		}
	}
}

// reached reports whether the process got the signal from its sender, because that was sent to the
// group or the control group.
func (s *signals) reached(process *os.Process, sig caughtSignal) bool {
	group, err := unix.Getpgid(process.Pid)
	switch {
	case err != nil || group != unix.Getpgrp(): // it has a group of its own
		return false
	case s.witness != nil && s.witness.gotSince(sig.Signal, sig.at.Add(-settle)):
		return true
	case s.witness == nil || sig.at.Before(s.witness.started):
		return slices.Contains(typed, sig.Signal) && inForeground()
	}
	return false
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
