// Package command runs a local command as a run of a job, and records it.
//
// The command comes first: it runs whether its run can be recorded or not.
package command

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxBackoff bounds the delay between two attempts, as Kubernetes does
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy).
const maxBackoff = 6 * time.Minute

// The statuses that a shell gives a command that did not run, and one that a signal ended
// (POSIX.1-2024, Shell Command Language, section 2.8.2).
const (
	statusNotExecutable = 126
	statusNotFound      = 127
	statusSignal        = 128
)

// Command is a command, which job its run is one of, and how often it is tried.
type Command struct {
	// Args are the command and its arguments; at least one.
	Args []string
	// Team, Project and Job have the form of the contract's ID.
	Team, Project, Job string
	// BackoffLimit is how many times a failed attempt is followed by another.
	BackoffLimit int
	// Backoff is the delay before the second attempt. It doubles from attempt to attempt, up to 6
	// minutes.
	Backoff time.Duration
	// Record receives the state of the run: when it starts, after each attempt, and when it ends.
	// It must not block.
	Record func(jobrun.Record)
	// Warn receives the reason why an attempt could not start. It must not block.
	Warn func(error)
}

// Run runs the command with this process's standard streams and signals, and returns the exit
// status of the last attempt as a shell would tell it: 127 if the command does not exist, 126 if it
// cannot be executed, 128+n if signal n ended it.
//
// A signal that asks this process to end is passed on to the command, and no attempt follows.
func (c *Command) Run() int {
	signals := catchSignals()
	defer signals.release()
	now := steadyClock()
	record := jobrun.Record{Team: c.Team, Project: c.Project, Job: c.Job, Leased: true, Run: model.JobRun{
		ID:           uuid.NewString(),
		Active:       model.FlagYes,
		BackoffLimit: c.BackoffLimit,
		RunName:      c.Job + "-" + nameSuffix(),
		Status:       model.JobRunStatusRunning,
		StartedAt:    now(),
	}}
	run := &record.Run
	c.Record(record)
	status := 0
	for delay := range delays(c.Backoff) {
		status = c.attempt(signals)
		run.Completions++
		if status == 0 || run.Completions > c.BackoffLimit || signals.ending {
			break
		}
		c.Record(record)
		if !signals.sleep(delay) {
			break
		}
	}
	record.Conclude(now(), status == 0)
	c.Record(record)
	return status
}

// delays yields the delay after each attempt, without end.
func delays(first time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for delay := min(first, maxBackoff); yield(delay); delay = min(2*delay, maxBackoff) {
		}
	}
}

// attempt runs the command once and returns its exit status.
func (c *Command) attempt(signals *signals) int {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	// Being files, they are the command's own: nothing stands between.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		c.Warn(err)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return statusNotFound
		}
		return statusNotExecutable
	}
	signals.passTo(cmd.Process, func() { _ = cmd.Wait() }) // the state says more than the error
	state := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if state.Signaled() {
		return statusSignal + int(state.Signal())
	}
	return state.ExitStatus()
}

// steadyClock returns a clock that does not jump when the machine's clock is set.
func steadyClock() func() time.Time {
	start := time.Now()
	return func() time.Time { return start.Add(time.Since(start)).UTC().Truncate(time.Second) }
}

// nameSuffix tells the names of a job's runs apart; the reference's example has one of this form.
func nameSuffix() string {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return hex.EncodeToString(random[:])
}
