package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// outputGrace is how long jobrun waits for the next output of what the command left running, and
	// maxReads how often: several times what a pipe holds.
	outputGrace = 200 * time.Millisecond
	maxReads    = 1000
	// blockedLimit is how long jobrun, asked to end, waits for the reader of its own output.
	blockedLimit = time.Second
)

// copies pass on what a command prints to its pipes, and keep the last lines. They use their own
// pipes instead of the ones of os/exec, because those close after a fixed time: if the reader of
// jobrun's output was slow, the rest of the output would be lost.
type copies struct {
	readers, writers []*os.File
	exited           chan struct{} // closed when the command has ended
	done             chan error    // one error or nil from each copy
}

// copyTo returns the streams for a command whose output is to be kept; nil keeps nothing. Two streams
// that lead to the same file remain one, so that the order is preserved.
func copyTo(files []*os.File, kept *lines) ([]*os.File, *copies, error) {
	c := &copies{exited: make(chan struct{}), done: make(chan error, 2)}
	if kept == nil {
		return files, c, nil
	}
	streams := []*os.File{files[0]}
	for i, file := range files[1:] {
		if i == 1 && same(file, files[1]) {
			streams = append(streams, streams[1])
			break
		}
		r, w, err := os.Pipe()
		if err != nil {
			c.started()
			return nil, c, err
		}
		streams, c.readers, c.writers = append(streams, w), append(c.readers, r), append(c.writers, w)
		go func() { c.done <- c.copy(r, file, kept) }()
	}
	return streams, c, nil
}

func same(a, b *os.File) bool {
	aInfo, aErr := a.Stat()
	bInfo, bErr := b.Stat()
	return aErr == nil && bErr == nil && os.SameFile(aInfo, bInfo)
}

// copy passes on what it reads at once, until no process has the other end of the pipe. If it cannot
// write, it closes its end, so that the command gets EPIPE or SIGPIPE, and returns the reason unless
// that is EPIPE, too.
func (c *copies) copy(from, to *os.File, kept *lines) error {
	defer from.Close()
	stream := stream{lines: kept}
	defer stream.end()
	buffer := make([]byte, 32<<10)
	for reads := 0; reads < maxReads; {
		select {
		case <-c.exited:
			_ = from.SetReadDeadline(time.Now().Add(outputGrace))
			reads++
		default:
		}
		n, err := from.Read(buffer)
		if err != nil {
			break // the end, or what the command left running pauses
		}
		stream.add(buffer[:n], time.Now())
		if _, err := to.Write(buffer[:n]); errors.Is(err, syscall.EPIPE) {
			break
		} else if err != nil {
			return fmt.Errorf("cannot pass on the output: %w", err)
		}
	}
	return nil
}

// started closes the command's ends of the pipes in this process, once the command has them.
func (c *copies) started() {
	for _, w := range c.writers {
		w.Close()
	}
}

// finish waits until the output is passed on, now that the command has ended. When the run is
// stopping, it gives a blocked reader of jobrun's output blockedLimit.
// Returns an error if output could not be written.
func (c *copies) finish(run *command) (lost error) {
	close(c.exited)
	for _, r := range c.readers {
		_ = r.SetReadDeadline(time.Now().Add(outputGrace)) // wakes a copy that waits for output
	}
	var over <-chan time.Time
	for copying := len(c.readers); copying > 0; {
		if over == nil && run.stopping() {
			over = time.After(blockedLimit)
		}
		select {
		case err := <-c.done:
			lost, copying = errors.Join(lost, err), copying-1
		case <-over:
			return lost
		case sig := <-run.signals.caught:
			run.signals.note(sig)
		}
	}
	return lost
}
