package command

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jobruns/jobruns/server/jobrun"
)

// The statuses that a shell gives a command that did not run, and one that a signal ended
// (POSIX.1-2024, Shell Command Language, section 2.8.2).
const (
	statusNotExecutable = 126
	statusNotFound      = 127
	statusSignal        = 128
)

// shell runs a script that does not say what runs it, as execvp does.
const shell = "/bin/sh"

// attempt runs the command once and returns its exit status.
func (c *Command) attempt(signals *signals, record jobrun.Record) int {
	process, err := c.start(record)
	if err != nil {
		c.Warn(err)
		return statusOf(err)
	}
	var state syscall.WaitStatus
	signals.passTo(process, func() {
		if ended, err := process.Wait(); err == nil { // it fails for a process that is not a child
			state = ended.Sys().(syscall.WaitStatus)
		}
	})
	if state.Signaled() {
		return statusSignal + int(state.Signal())
	}
	return state.ExitStatus()
}

// statusOf returns the status of a command that did not run because of the error.
func statusOf(err error) int {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return statusNotFound
	}
	return statusNotExecutable
}

// start starts the command as execvp(3) does.
func (c *Command) start(record jobrun.Record) (process *os.Process, err error) {
	path, err := lookPath(c.Args[0])
	if err != nil {
		return nil, err
	}
	args := c.Args
	if ignored(syscall.SIGCHLD) {
		path, args = ignoringChildren(path, args)
	}
	attributes := &os.ProcAttr{Env: environment(os.Environ(), record), Files: streams()}
	err = executed(path, args, func(path string, args []string) (err error) {
		process, err = os.StartProcess(path, args, attributes)
		return err
	})
	return process, err
}

// executed executes a file, or the shell if the file does not say what runs it.
func executed(path string, args []string, execute func(path string, args []string) error) error {
	err := execute(path, args)
	if errors.Is(err, syscall.ENOEXEC) {
		return execute(shell, append([]string{shell, path}, args[1:]...))
	}
	return err
}

// defaultPath is where execvp looks if the environment has no PATH (confstr(3), _CS_PATH).
var defaultPath = []string{"/bin", "/usr/bin"}

// lookPath finds a command as execvp does, which includes the current directory if PATH names it.
func lookPath(command string) (string, error) {
	path, err := exec.LookPath(command)
	if errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	if _, set := os.LookupEnv("PATH"); err != nil && !set && filepath.Base(command) == command {
		for _, folder := range defaultPath {
			if path, err := exec.LookPath(filepath.Join(folder, command)); err == nil {
				return path, nil
			}
		}
	}
	return path, err
}

// environment returns the environment in which the command finds its run.
func environment(outer []string, record jobrun.Record) []string {
	run := map[string]string{
		"JOBRUN_ID": record.Run.ID, "JOBRUN_TEAM": record.Team, "JOBRUN_PROJECT": record.Project, "JOBRUN_JOB": record.Job,
	}
	environment := make([]string, 0, len(outer)+len(run))
	for _, entry := range outer {
		name, _, _ := strings.Cut(entry, "=")
		if _, replaced := run[name]; !replaced {
			environment = append(environment, entry)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(run)) {
		environment = append(environment, name+"="+run[name])
	}
	return environment
}
