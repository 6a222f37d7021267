package command

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// becomeName names this program when it is started to become the command.
const becomeName = "ignore-sigchld"

// ignoringChildren returns the path and arguments of this program that have it ignore SIGCHLD and
// become the command. This process cannot ignore that signal for the command, because the kernel
// then tells nobody how the command ends (sigaction(2), SA_NOCLDWAIT).
func ignoringChildren(path string, args []string) (string, []string) {
	return "/proc/self/exe", append([]string{becomeName, path}, args...)
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
	err := executed(os.Args[1], os.Args[2:], func(path string, args []string) error {
		return syscall.Exec(path, args, os.Environ())
	})
	fmt.Fprintf(os.Stderr, "jobrun: %s: %v\n", os.Args[1], err)
	os.Exit(statusOf(err))
}
