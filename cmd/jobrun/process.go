package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/server/jobrun"
)

// The statuses that a shell gives a command that did not run, or that a signal ended (POSIX.1-2024,
// Shell Command Language, section 2.8.2), and those for a command that ended with 0 although its run
// failed. The status of a time limit is that of timeout(1).
const (
	statusOutputLost    = 1
	statusTimedOut      = 124
	statusNotExecutable = 126
	statusNotFound      = 127
	statusSignal        = 128
)

// shell runs a script without "#!", as execvp(3) does.
const shell = "/bin/sh"

// process is the command while it runs.
type process struct {
	cmd *exec.Cmd
	// ownGroup says that the command leads a process group: the time limit ends its children too, as
	// timeout(1) does. In the foreground of a terminal, a command must stay in the group of jobrun.
	ownGroup bool
}

// start starts a command with these standard streams. limited says that it has a time limit.
func start(args, env []string, files []*os.File, limited bool) (*process, error) {
	ownGroup := limited && !inForeground()
	execute := func(args []string) (*exec.Cmd, error) {
		cmd := exec.Command(args[0], args[1:]...)
		if errors.Is(cmd.Err, exec.ErrDot) {
			cmd.Err = nil // PATH names the current directory, and execvp(3) searches it
		}
		cmd.Env, cmd.SysProcAttr = env, &syscall.SysProcAttr{Setpgid: ownGroup}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
		return cmd, cmd.Start()
	}
	cmd, err := execute(args)
	if errors.Is(err, syscall.ENOEXEC) {
		cmd, err = execute(append([]string{shell, cmd.Path}, args[1:]...))
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(cmd.Path); statErr == nil {
			err = fmt.Errorf("%s exists, but its interpreter does not: %w", cmd.Path, err)
		}
	}
	return &process{cmd, ownGroup}, err
}

// signal sends a signal to the command, or to its process group if it has its own. It may have ended.
func (p *process) signal(sig syscall.Signal) {
	if p.ownGroup {
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	} else {
		_ = p.cmd.Process.Signal(sig)
	}
}

// ended returns the status that a shell gives a process that ended so, and why it ended.
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

// describe returns the number and the name of a signal.
func describe(sig syscall.Signal) string { return fmt.Sprintf("signal %d (%s)", sig, signalName(sig)) }

// signalName returns the name of a signal without SIG, or its number if it has no name.
func signalName(sig syscall.Signal) string {
	return cmp.Or(strings.TrimPrefix(unix.SignalName(sig), "SIG"), strconv.Itoa(int(sig)))
}
