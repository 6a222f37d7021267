package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// outputGrace is how long jobrun waits for the next output of what the command left running.
	outputGrace = 200 * time.Millisecond
	// maxLeft bounds how many bytes jobrun passes on after the command has ended. It is more than a
	// pipe holds.
	maxLeft = 1 << 20
	// blockedLimit is how long jobrun, asked to end, waits for the reader of its own output.
	blockedLimit = time.Second
)

// copies pass on what a command prints to its pipes, and keep the last lines. They use their own
// pipes instead of the ones of os/exec, because those close after a fixed time, and the rest of the
// output would be lost if the reader of jobrun's output is slow. A nil *copies copies nothing.
type copies struct {
	readers, writers []*os.File
	exited           chan struct{} // closed when the command has ended
	done             chan error    // one error or nil from each copy
}

// copyTo returns the streams for a command whose output is to be kept. Two streams that lead to the
// same file remain one, so that the order is preserved. With an error, it returns the given streams.
func copyTo(files []*os.File, kept *lines) ([]*os.File, *copies, error) {
	c := &copies{exited: make(chan struct{}), done: make(chan error, 2)}
	streams := []*os.File{files[0]}
	for _, file := range files[1:] {
		if len(streams) == 2 && same(file, files[1]) {
			streams = append(streams, streams[1])
			break
		}
		r, w, err := os.Pipe()
		if err != nil {
			c.started()
			return files, nil, err
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
	for left := maxLeft; left > 0; {
		select {
		case <-c.exited:
			_ = from.SetReadDeadline(time.Now().Add(outputGrace))
		default:
		}
		n, err := from.Read(buffer)
		if n > 0 {
			stream.add(buffer[:n], time.Now())
			if _, err := to.Write(buffer[:n]); errors.Is(err, syscall.EPIPE) {
				return nil
			} else if err != nil {
				return fmt.Errorf("cannot pass on the output: %w", err)
			}
		}
		if err != nil {
			return nil // the end, or what the command left running has paused
		}
		select {
		case <-c.exited:
			left -= n
		default:
		}
	}
	return nil
}

// started closes the command's ends of the pipes in this process, once the command has them.
func (c *copies) started() {
	if c != nil {
		for _, w := range c.writers {
			w.Close()
		}
	}
}

// finish waits until the output is passed on, now that the command has ended. It does not wait for
// processes that the command left running. When the run is stopping, it gives a blocked reader of
// jobrun's output a second.
// Returns an error if output could not be written.
func (c *copies) finish(run *command) error {
	if c == nil {
		return nil
	}
	close(c.exited)
	for _, r := range c.readers {
		_ = r.SetReadDeadline(time.Now().Add(outputGrace)) // wakes a copy that waits for output
	}
	var errs error
	var over <-chan time.Time
	for range c.readers {
		for copied := false; !copied; {
			if over == nil && run.stopping() {
				over = time.After(blockedLimit)
			}
			select {
			case err := <-c.done:
				errs, copied = errors.Join(errs, err), true
			case <-over:
				return errs
			case sig := <-run.signals.caught:
				run.signals.note(sig)
			}
		}
	}
	return errs
}
