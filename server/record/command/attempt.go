package command

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
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

// attempt runs the command once and returns its exit status, and why it ended so. It adds what the
// command prints to the tail, unless that is nil.
func (c *Command) attempt(signals *signals, record jobrun.Record, kept *tail) (status int, end jobrun.End) {
	files, copies := streams(), &copies{}
	if kept != nil {
		if piped, from, err := copyTo(files, kept, c.Warn); err == nil {
			files, copies = piped, from
		} else {
			c.Warn(fmt.Errorf("what the command prints cannot be kept: %w", err))
		}
	}
	process, err := c.start(record, files)
	copies.close()
	if err != nil {
		c.Warn(err)
		return notStarted(err)
	}
	var state syscall.WaitStatus
	signals.passTo(process, func() {
		if ended, err := process.Wait(); err == nil { // it fails for a process that is not a child
			state = ended.Sys().(syscall.WaitStatus)
		}
	})
	copies.finish(signals)
	status, end = ended(state)
	if status != 0 && signals.asked() {
		end = signals.interrupted(end, "")
	}
	return status, end
}

// start starts the command with these standard streams.
func (c *Command) start(record jobrun.Record, files []*os.File) (process *os.Process, err error) {
	attributes := &os.ProcAttr{Env: environment(os.Environ(), record), Files: files}
	execute := func(path string, args []string) (err error) {
		process, err = os.StartProcess(path, args, attributes)
		return err
	}
	if ignored(syscall.SIGCHLD) && startIgnoringChildren(c.Args, execute) == nil {
		return process, nil
	}
	err = executed(c.Args, execute)
	return process, err
}

// defaultPath is where execvp looks if the environment has no PATH (confstr(3), _CS_PATH).
const defaultPath = "/bin:/usr/bin"

// executed has the command executed as execvp(3) does: it tries each directory in PATH, and has a
// shell run a file that does not say what runs it.
func executed(args []string, execute func(path string, args []string) error) error {
	command := args[0]
	paths := []string{command}
	if !strings.Contains(command, "/") {
		path, set := os.LookupEnv("PATH")
		if !set {
			path = defaultPath
		}
		paths = nil
		for _, directory := range strings.Split(path, ":") {
			if directory != "" { // which is the current one
				directory += "/"
			}
			paths = append(paths, directory+command)
		}
	}
	var failure error = &exec.Error{Name: command, Err: exec.ErrNotFound}
	for _, path := range paths {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue // without a process that finds it out
		}
		err := execute(path, args)
		if errors.Is(err, syscall.ENOEXEC) {
			err = execute(shell, append([]string{shell, path}, args[1:]...))
		}
		switch {
		case errors.Is(err, fs.ErrPermission):
			failure = err
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return err
		case len(paths) == 1:
			failure = err
		}
	}
	return failure
}

// environment returns the environment in which the command finds its run.
func environment(outer []string, record jobrun.Record) []string {
	run := map[string]string{
		"JOBRUN_ID":      record.Run.ID,
		"JOBRUN_TEAM":    record.Team,
		"JOBRUN_PROJECT": record.Project,
		"JOBRUN_JOB":     record.Job,
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
