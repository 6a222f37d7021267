package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobruns/jobruns/client"
	"github.com/jobruns/jobruns/server/jobrun"
)

const (
	heartbeatTimeout = 120       // seconds
	maxBody          = 256 << 10 // bytes of a report: x-max-bytes of the contract
)

// times are the intervals of a reporter.
type times struct {
	start                time.Duration // before the first report: a command that ends earlier needs only one
	heartbeat            time.Duration // between reports
	firstRetry, maxRetry time.Duration // between tries, doubled each time
	try                  time.Duration // limit of one try
	warn                 time.Duration // of failures before the user is told
	inFlight             time.Duration // for a report that is being sent when the command ends
	spool                time.Duration // after the end of the command, until its state goes to the spool
	deliver              time.Duration // after the end of the command, until jobrun ends
	signaled             time.Duration // the same, after a signal
	backlog              time.Duration // for the reports in the spool, after the final state is accepted
}

// defaultTimes have jobrun end within 10 s of its command, which is when supervisors kill it.
var defaultTimes = times{
	start: 20 * time.Millisecond, heartbeat: 30 * time.Second,
	firstRetry: 100 * time.Millisecond, maxRetry: 10 * time.Second, try: 5 * time.Second, warn: 10 * time.Second,
	inFlight: 250 * time.Millisecond, spool: time.Second, deliver: 9 * time.Second, signaled: time.Second,
	backlog: time.Second,
}

// reporter reports the state of one run to a server. While the command runs, a goroutine reports each
// new state and sends heartbeats, one request at a time. A failure is retried and never reaches the
// command.
type reporter struct {
	times
	server server
	ref    client.RunRef
	spool  spool
	say    messages
	quiet  bool // print nothing unless something is wrong

	recorder  recorder                 // nil until begin connects
	problem   error                    // why there is no recorder
	changed   chan client.JobRunReport // the next state to send, if any
	ended     chan struct{}            // closed when the command has ended
	stopped   chan struct{}            // closed when the goroutine has ended
	accepted  sync.Once                // for the first accepted report
	warned    bool                     // only used by the goroutine until it has ended
	delivered chan struct{}            // closed when the spool's other reports are delivered
}

// begin starts to report.
func (r *reporter) begin(record jobrun.Record) {
	r.changed = make(chan client.JobRunReport, 1)
	r.ended, r.stopped, r.delivered = make(chan struct{}), make(chan struct{}), make(chan struct{})
	go r.run(reportOf(record))
}

// change reports a new state. It must not be called by several goroutines at once.
func (r *reporter) change(record jobrun.Record) {
	select {
	case <-r.changed: // the new state contains this one
	default:
	}
	r.changed <- reportOf(record)
}

// run sends the state until the command has ended or the server rejects it.
func (r *reporter) run(report client.JobRunReport) {
	defer close(r.stopped)
	if r.recorder == nil {
		if r.recorder, r.problem = r.server.connect(); r.problem != nil {
			return
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-r.ended
		time.AfterFunc(r.inFlight, cancel)
	}()
	timer := time.NewTimer(r.start)
	retry, failing := r.firstRetry, time.Time{}
	for {
		select {
		case <-r.ended:
			return
		case report = <-r.changed:
		case <-timer.C:
		}
		err := send(ctx, r.recorder, r.ref, report, r.try)
		if ctx.Err() != nil || rejected(err) {
			return // finish sends the final state, and reports what is wrong with it
		}
		if err == nil {
			r.accept()
			report.Attempts = nil // the server has them
			retry, failing = r.firstRetry, time.Time{}
			timer.Reset(jitter(r.heartbeat))
			continue
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if !r.warned && (!temporary(err) || time.Since(failing) >= r.warn) {
			r.warned = true
			r.say.printf("jobrun: the run is not recorded yet: %v", err)
		}
		timer.Reset(jitter(retry))
		retry = min(2*retry, r.maxRetry)
	}
}

// accept notes that the server has accepted a report: it is there, so the spool can be delivered.
func (r *reporter) accept() {
	r.accepted.Do(func() {
		if r.warned {
			r.say.printf("jobrun: run %s is recorded now", r.ref.Run)
		} else if !r.quiet {
			r.say.printf("jobrun: run %s", r.ref.Run)
		}
		go func() {
			defer close(r.delivered)
			d := &deliverer{
				server: r.server, recorders: map[server]recorder{r.server: r.recorder}, down: map[server]error{},
				try: r.try, say: r.say,
			}
			_, _ = r.spool.deliver(context.Background(), d, unix.LOCK_EX|unix.LOCK_NB) // the next jobrun tries again
		}()
	})
}

// finish reports the final state, and returns when a server has accepted it, or the time is up. Until
// it is accepted, the state is in the spool.
func (r *reporter) finish(record jobrun.Record, log []client.LogLine, signals *signals) {
	close(r.ended)
	report := reportOf(record)
	addLog(&report, log)
	ctx, cancel := context.WithTimeout(context.Background(), r.deliver)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		<-r.stopped
		done <- r.last(ctx, report)
	}()
	entry := entry{server: r.server, key: key(r.ref), Report: report}
	var file string
	var err, spoolErr error
	save := func() {
		if file == "" {
			file, spoolErr = r.spool.add(entry)
		}
	}
	delay := r.times.spool
	if signals.asked != 0 {
		delay = 0 // KILL may follow
	}
	late := time.After(delay)
	for waiting := true; waiting; {
		select {
		case err = <-done:
			waiting = false
		case <-late:
			save()
		case sig := <-signals.caught:
			if signals.note(sig) {
				save()
				late = nil
				time.AfterFunc(r.signaled, cancel)
			}
		}
	}
	if err == nil {
		if file != "" {
			_ = os.Remove(file) // another process may have delivered it
		}
		r.accept()
		select {
		case <-r.delivered:
		case <-time.After(r.backlog):
		}
		return
	}
	if rejected(err) {
		r.say.printf("jobrun: run %s was rejected: %v", r.ref.Run, err)
		if file != "" {
			r.spool.reject(file, entry, err, r.say)
		}
		return
	}
	if save(); spoolErr == nil {
		r.say.printf("jobrun: run %s is not recorded yet: %v; the next jobrun or \"jobrun --flush\" delivers %s",
			r.ref.Run, err, file)
		return
	}
	r.say.printf("jobrun: run %s is not recorded: %v; the spool cannot be used: %v; "+
		"give this line to \"jobrun --flush -\":\n%s", r.ref.Run, err, spoolErr, bytes.TrimSpace(entry.line()))
}

// last sends the final state until the server accepts or rejects it, or the context ends.
// Returns the error of the last try.
func (r *reporter) last(ctx context.Context, report client.JobRunReport) error {
	if r.problem != nil {
		return r.problem
	}
	for retry := r.firstRetry; ; retry = min(2*retry, r.maxRetry) {
		err := send(ctx, r.recorder, r.ref, report, r.try)
		if err == nil || rejected(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(jitter(retry)):
		}
	}
}

// jitter takes up to a quarter away, so that recorders that start together do not report together.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4) }

// reportOf returns the report of a run's state.
func reportOf(record jobrun.Record) client.JobRunReport {
	run, outcome, timeout := record.Run, record.Outcome, heartbeatTimeout
	report := client.JobRunReport{
		RunName: &run.RunName, StartedAt: &run.StartedAt, BackoffLimit: &run.BackoffLimit, Completions: &run.Completions,
		Host: outcome.Host, HeartbeatTimeout: &timeout,
	}
	if len(outcome.Attempts) > 0 {
		attempts := make([]client.JobRunAttemptReport, len(outcome.Attempts))
		for i, attempt := range outcome.Attempts {
			attempts[i] = client.JobRunAttemptReport(attempt)
		}
		report.Attempts = &attempts
	}
	if run.Concluded {
		report.Conclusion = &client.JobRunConclusion{
			Succeeded: run.Succeeded == client.FlagYes, ConcludedAt: run.ConcludedAt,
			Reason: outcome.Reason, Message: outcome.Message, ExitStatus: outcome.ExitStatus, Signal: outcome.Signal,
		}
	}
	return report
}

// addLog adds the lines to a report, without the oldest if they would make it too large.
func addLog(report *client.JobRunReport, log []client.LogLine) {
	const rest = 64 // "sentAt" and "log"
	text, _ := json.Marshal(report)
	size, first := len(text)+rest, len(log)
	for ; first > 0; first-- {
		line, _ := json.Marshal(log[first-1])
		if size += len(line) + 1; size > maxBody {
			break
		}
	}
	if log = log[first:]; len(log) > 0 {
		report.Log = &log
	}
}
