package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/server/jobrun"
)

// ended returns the status that a shell gives a process that ended so, and why that was.
func ended(state syscall.WaitStatus) (status int, end jobrun.End) {
	if state.Signaled() {
		name := signalName(state.Signal())
		return statusSignal + int(state.Signal()), jobrun.End{
			Reason: jobrun.ReasonSignal, Message: "killed by " + describe(state.Signal()), Signal: &name,
		}
	}
	status = state.ExitStatus()
	end = jobrun.End{Reason: jobrun.ReasonExitStatus, Message: fmt.Sprintf("exit status %d", status), ExitStatus: &status}
	if status == 0 {
		end.Reason = jobrun.ReasonCompleted
	}
	return status, end
}

// notStarted returns the status that a shell gives a command that did not run because of the error.
func notStarted(err error) (status int, end jobrun.End) {
	status, reason := statusNotExecutable, jobrun.ReasonNotExecutable
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		status, reason = statusNotFound, jobrun.ReasonNotFound
	}
	return status, jobrun.End{Reason: reason, Message: err.Error(), ExitStatus: &status}
}

// interrupted returns why a run ended that a signal asked to end; when says at which time, if that
// was not during the attempt that ended so.
func (s *signals) interrupted(attempt jobrun.End, when string) jobrun.End {
	attempt.Reason = jobrun.ReasonInterrupted
	message := "interrupted by " + describe(s.askedBy) + when
	if attempt.Signal == nil || *attempt.Signal != signalName(s.askedBy) {
		message += ": " + attempt.Message
	}
	attempt.Message = message
	return attempt
}

// describe returns what a person calls a signal.
func describe(sig syscall.Signal) string { return fmt.Sprintf("signal %d (%s)", sig, signalName(sig)) }

// minRealTime is the number of the first signal that has no name of its own (signal(7), glibc).
const minRealTime = 34

// signalName returns the name of a signal, without SIG, as kill(1) has it.
func signalName(sig syscall.Signal) string {
	name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
	switch {
	case name != "":
		return name
	case sig == minRealTime:
		return "RTMIN"
	case sig > minRealTime:
		return "RTMIN+" + strconv.Itoa(int(sig-minRealTime))
	}
	return strconv.Itoa(int(sig))
}
