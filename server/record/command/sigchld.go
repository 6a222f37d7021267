package command

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// becomeName names this program when it is started to become the command.
const becomeName = "ignore-sigchld"

// startIgnoringChildren starts this program, to ignore SIGCHLD and become the command. This process
// cannot ignore that signal for the command, because the kernel then tells nobody how the command
// ends (sigaction(2), SA_NOCLDWAIT). Returns an error where there is no /proc.
func startIgnoringChildren(args []string, execute func(path string, args []string) error) error {
	return execute("/proc/self/exe", append([]string{becomeName}, args...))
}

// init makes this process the command if it was started for that, before it does anything else.
func init() {
	if os.Args[0] != becomeName {
		return
	}
	signal.Ignore(syscall.SIGCHLD)
	ignoreAgain()
	for fd := range streams() {
		if closedAtStart&(1<<fd) != 0 {
			syscall.CloseOnExec(fd)
		}
	}
	err := executed(os.Args[1:], func(path string, args []string) error {
		if err := syscall.Exec(path, args, os.Environ()); err != nil {
			return &os.PathError{Op: "exec", Path: path, Err: err}
		}
		return nil
	})
	fmt.Fprintf(os.Stderr, "jobrun: %v\n", err)
	status, _ := notStarted(err)
	os.Exit(status)
}
