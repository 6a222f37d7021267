package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jobruns/jobruns/cmd/internal/duration"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxBackoff bounds the delay between two attempts, as Kubernetes does
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy).
const maxBackoff = 6 * time.Minute

// command is a command, how often it is tried, and how long it may take.
type command struct {
	args []string // the command and its arguments; at least one
	env  []string
	// backoffLimit is how many times a failed attempt is followed by another. backoff is the delay
	// before the second attempt; it doubles each time.
	backoffLimit int
	backoff      time.Duration
	// timeout limits the time of all attempts and delays; 0 for no limit. killAfter is the time
	// between TERM and KILL.
	timeout, killAfter time.Duration

	signals *signals
	output  *lines // keeps what the command prints; nil if the streams are the command's own
	// changed receives the record after each attempt that another one follows. It must not block.
	changed func(jobrun.Record)
	say     messages

	deadline <-chan time.Time
	timedOut bool
}

// run runs the command until an attempt succeeds, or no other may follow. It concludes the record,
// and returns the exit status as a shell has it: 127 if the command does not exist, 126 if it cannot
// be executed, 128+n if signal n ended it. It is never 0 for a run that failed.
func (c *command) run(record *jobrun.Record) (status int) {
	if c.timeout > 0 {
		c.deadline = time.After(c.timeout)
	}
	var end jobrun.End
	for delay := min(c.backoff, maxBackoff); ; delay = min(2*delay, maxBackoff) {
		began := time.Now()
		status, end = c.attempt()
		record.AddAttempt(began, time.Now(), end)
		if status == 0 || record.Run.Completions > c.backoffLimit || c.stopping() {
			break
		}
		c.changed(*record)
		if c.sleep(delay); c.stopping() {
			end = c.stopped(end)
			break
		}
	}
	record.Conclude(time.Now(), status == 0, end)
	return status
}

// stopping reports whether no further attempt may start.
func (c *command) stopping() bool { return c.timedOut || c.signals.asked != 0 }

// sleep waits for the delay, or until the run has to stop.
func (c *command) sleep(delay time.Duration) {
	for over := time.After(delay); !c.stopping(); {
		select {
		case <-over:
			return
		case <-c.deadline:
			c.timedOut = true
		case sig := <-c.signals.caught:
			c.signals.note(sig)
		}
	}
}

// attempt runs the command once, and returns its exit status and why it ended so.
func (c *command) attempt() (status int, end jobrun.End) {
	files, copies, err := copyTo([]*os.File{os.Stdin, os.Stdout, os.Stderr}, c.output)
	var process *process
	if err == nil {
		process, err = start(c.args, c.env, files, c.timeout > 0)
		copies.started()
	}
	if err != nil {
		c.say.printf("jobrun: %v", err)
		return notStarted(err)
	}
	status, end = ended(c.wait(process))
	lost := copies.finish(c)
	switch {
	case status != 0 && c.stopping():
		end = c.stopped(end)
	case status == 0 && c.timedOut:
		status, end = statusTimedOut, c.stopped(end)
	case lost != nil:
		c.say.printf("jobrun: %v", lost)
		if status == 0 {
			status = statusOutputLost
			end = jobrun.End{Reason: jobrun.ReasonOutputLost, Message: lost.Error(), ExitStatus: end.ExitStatus}
		}
	}
	return status, end
}

// wait waits for the process, and passes signals on to it. When the time is up, it ends the process.
func (c *command) wait(process *process) syscall.WaitStatus {
	exited := make(chan syscall.WaitStatus, 1)
	go func() {
		_ = process.cmd.Wait() // the state has the details
		state, _ := process.cmd.ProcessState.Sys().(syscall.WaitStatus)
		exited <- state
	}()
	var kill <-chan time.Time
	for {
		select {
		case state := <-exited:
			return state
		case sig := <-c.signals.caught:
			c.signals.note(sig)
			pass(sig, process)
		case <-c.deadline:
			c.timedOut, kill = true, time.After(c.killAfter)
			process.signal(syscall.SIGTERM)
			process.signal(syscall.SIGCONT) // a stopped process cannot end
		case <-kill:
			process.signal(syscall.SIGKILL)
		}
	}
}

// stopped returns why a run ended that a signal or its time limit stopped, after the attempt that
// ended so.
func (c *command) stopped(end jobrun.End) jobrun.End {
	by := "the time limit of " + duration.Format(c.timeout) + " is over"
	if end.Reason = jobrun.ReasonDeadlineExceeded; !c.timedOut {
		end.Reason, by = jobrun.ReasonInterrupted, "interrupted by "+describe(c.signals.asked)
	}
	end.Message = by + ": " + end.Message
	return end
}

// environment returns the environment of the command, which finds its run there, but not the token.
func environment(outer []string, record jobrun.Record) []string {
	env := slices.DeleteFunc(slices.Clone(outer), func(entry string) bool {
		return strings.HasPrefix(entry, tokenVariable+"=")
	})
	if record.Team != "" {
		env = append(env, "JOBRUN_TEAM="+record.Team)
	}
	// Of several entries with the same name, os/exec passes the last.
	return append(env, "JOBRUN_ID="+record.Run.ID, "JOBRUN_PROJECT="+record.Project, "JOBRUN_JOB="+record.Job)
}
