package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jobruns/jobruns/client"
)

const (
	clearLine = "\r\x1b[K"
	wrapOff   = "\x1b[?7l" // a line that is too long would be two, of which one could not be cleared
	wrapOn    = "\x1b[?7h"
)

// progress shows on standard error how a run is doing that is waited for: on a terminal a line that
// changes, elsewhere a line for each change.
type progress struct {
	quiet, live bool
	began       time.Time

	mu      sync.Mutex
	stopped bool
	run     *client.JobRun // nil until one is seen
	trouble string         // why the last request failed; empty if it has not
	shown   string         // the last line; empty if there is none on the terminal
}

// newProgress shows progress until stop.
func newProgress(quiet bool) *progress {
	p := &progress{
		quiet: quiet,
		live:  !quiet && os.Getenv("TERM") != "dumb" && onTerminal(os.Stderr),
		began: time.Now(),
	}
	if p.live {
		beforeInterrupt(p.stop)
		go func() {
			for range time.Tick(time.Second) {
				p.print("")
			}
		}()
	}
	return p
}

// state takes note of a new state.
func (p *progress) state(run *client.JobRun) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run, p.trouble = run, ""
	p.show()
}

// request takes note of what the last request failed at, or with "" of one that has not.
func (p *progress) request(trouble string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.trouble
	p.trouble = trouble
	if (before == "") != (trouble == "") { // the same trouble may come in other words, such as another port
		p.show()
	}
}

// print writes lines between those of the progress.
func (p *progress) print(lines string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprint(os.Stderr, lines)
	if p.live {
		p.show()
	}
}

// stop clears the line. Nothing is shown afterwards.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.stopped = true
}

func (p *progress) clear() {
	if p.live && p.shown != "" {
		fmt.Fprint(os.Stderr, clearLine)
		p.shown = ""
	}
}

// show writes the line, if need be.
func (p *progress) show() {
	now := time.Now()
	switch {
	case p.quiet, p.stopped:
	case p.live:
		p.shown = liveLine(p.run, p.trouble, p.began, now, colored(os.Stderr))
		fmt.Fprint(os.Stderr, clearLine+wrapOff+p.shown+wrapOn)
	default:
		line := p.trouble + "; asking again"
		if p.trouble == "" {
			line = doing(p.run, "", false)
		}
		if line != p.shown {
			p.shown = line
			fmt.Fprintln(os.Stderr, now.UTC().Format(time.RFC3339), line)
		}
	}
}

// liveLine says how the run is doing and for how long, or, of none that has been seen, how long it
// has been waited for.
func liveLine(run *client.JobRun, trouble string, began, now time.Time, color bool) string {
	line := "waiting for " + length(max(0, now.Sub(began)))
	if run != nil {
		line = doing(run, lasting(run, now), color)
	}
	if trouble != "" {
		line += "; " + trouble
	}
	return line
}

// doing is the status of a run, how long it has lasted, if that is wanted, and its attempts.
func doing(run *client.JobRun, lasting string, color bool) string {
	return paint(run.Status, color) + lasting + ", " + attempts(run)
}
