// Package command runs a local command as a run of a job, and records it.
//
// The command comes first: it runs whether its run can be recorded or not.
package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// maxBackoff bounds the delay between two attempts, as Kubernetes does
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy).
const maxBackoff = 6 * time.Minute

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
	// KeepOutput is how many bytes to keep of what the command prints, from the end, at most
	// MaxKeepOutput. If it is 0, the standard streams are the command's own.
	KeepOutput int
	// ID is the run's id, in the form of the contract's ID, or "" for a new one.
	ID string
	// Claim is called with the run before the first attempt, and may take a moment. If it returns an
	// error, the command does not run. It may be nil.
	Claim func(jobrun.Record) error
	// Record receives the state of the run: when it starts, after each attempt, and when it ends.
	// It must not block.
	Record func(jobrun.Record)
	// Finish is called after the last state, with the time that is left until this process ends.
	Finish func(context.Context)
	// Warn receives the reason why an attempt could not start, or what it prints is lost. It must not
	// block, and is called from several goroutines.
	Warn func(error)
}

// Run runs the command with this process's standard streams and signals, and returns the exit
// status of the last attempt as a shell would tell it: 127 if the command does not exist, 126 if it
// cannot be executed, 128+n if signal n ended it.
//
// A signal that asks this process to end is passed on to the command, and no attempt follows.
// Signals stay caught after Run, so that none changes how this process ends.
// Returns the error of Claim.
func (c *Command) Run() (status int, err error) {
	signals := catchSignals()
	now := steadyClock(sinceBoot)
	record := jobrun.Record{Team: c.Team, Project: c.Project, Job: c.Job, Leased: true, Run: model.JobRun{
		ID:           c.ID,
		Active:       model.FlagYes,
		BackoffLimit: c.BackoffLimit,
		RunName:      c.Job + "-" + nameSuffix(),
		Status:       model.JobRunStatusRunning,
		StartedAt:    now(),
	}, Outcome: jobrun.NewOutcome(host())}
	run := &record.Run
	if run.ID == "" {
		run.ID = uuid.NewString()
	}
	c.Record(record)
	if c.Claim != nil {
		if err := c.Claim(record); err != nil {
			return 0, err
		}
	}
	var kept *tail
	if c.KeepOutput > 0 {
		kept = &tail{limit: c.KeepOutput}
	}
	var end jobrun.End
	for delay := range delays(c.Backoff) {
		began := now()
		status, end = c.attempt(signals, record, kept)
		record.AddAttempt(began, now(), end)
		if status == 0 || run.Completions > c.BackoffLimit || signals.asked() {
			break
		}
		c.Record(record)
		if !signals.sleep(delay) {
			end = signals.interrupted(end, " before the next attempt")
			break
		}
	}
	if signals.witness != nil {
		signals.witness.stop()
	}
	record.Conclude(now(), status == 0, end)
	if kept != nil {
		record.Output = kept.output()
	}
	c.Record(record)
	ctx, cancel := signals.remaining()
	defer cancel()
	c.Finish(ctx)
	return status, nil
}

// host returns the name of this host, or "" if it has none.
func host() string {
	name, _ := os.Hostname()
	return name
}

// delays yields the delay after each attempt, without end.
func delays(first time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for delay := min(first, maxBackoff); yield(delay); delay = min(2*delay, maxBackoff) {
		}
	}
}

// steadyClock returns the time of day in whole seconds, from now on as elapsed counts, which says how
// much time has passed since any moment.
func steadyClock(elapsed func() time.Duration) func() time.Time {
	start, before := time.Now(), elapsed()
	return func() time.Time { return start.Add(elapsed() - before).UTC().Truncate(time.Second) }
}

// sinceBoot returns how long the machine has run, and was suspended, since its boot.
func sinceBoot() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(clock, &t) // fails only where the system has no such clock
	return time.Duration(t.Nano())
}

// nameSuffix tells the names of a job's runs apart; the reference's example has one of this form.
func nameSuffix() string {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return hex.EncodeToString(random[:])
}
