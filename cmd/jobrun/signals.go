package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSignal is the highest number of a signal on Linux, and higher than any on other systems.
const maxSignal = 64

var (
	// uncaught are the signals that no process can catch, that a terminal sends to a background
	// process which uses it, and that jobrun gets because of its child and of Go's scheduler.
	uncaught = []syscall.Signal{
		syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCHLD, syscall.SIGURG,
	}
	// own are the signals that the kernel sends to jobrun because of jobrun's own use of resources.
	// jobrun catches and drops them. If it ignored them, the command would ignore them too.
	own = []os.Signal{syscall.SIGPIPE, syscall.SIGXCPU, syscall.SIGXFSZ}
	// ending are the signals that ask a process to end.
	ending = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}
	// typed are the signals that a terminal sends to each process in its foreground.
	typed = []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH}
)

// signals catches the signals of this process, which the command is to get.
type signals struct {
	caught chan os.Signal
	asked  syscall.Signal // the first signal that asked to end; 0 if there was none
}

// catchSignals catches signals until the process ends, so that none changes how it ends. HUP and INT
// stay ignored if they were ignored when the process started (nohup), and the command ignores them
// too. Go's runtime does not preserve this for other signals.
func catchSignals() *signals {
	s := &signals{caught: make(chan os.Signal, maxSignal)}
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if !slices.Contains(uncaught, sig) && !slices.Contains(own, os.Signal(sig)) && !signal.Ignored(sig) {
			signal.Notify(s.caught, sig)
		}
	}
	signal.Notify(make(chan os.Signal, 1), own...)
	return s
}

// note remembers the first signal that asks to end. Reports whether this signal does.
func (s *signals) note(sig os.Signal) bool {
	asks := slices.Contains(ending, sig.(syscall.Signal))
	if asks && s.asked == 0 {
		s.asked = sig.(syscall.Signal)
	}
	return asks
}

// pass passes a signal on to the command, unless the terminal sends it to the command itself.
func pass(sig os.Signal, to *process) {
	terminal := !to.ownGroup && inForeground()
	switch {
	case terminal && sig == syscall.SIGTSTP:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // the shell waits for jobrun to stop
	case terminal && slices.Contains(typed, sig.(syscall.Signal)):
	default:
		to.signal(sig.(syscall.Signal))
	}
}

// inForeground reports whether this process is in the foreground process group of its terminal.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
