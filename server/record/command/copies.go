package command

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// outputGrace is how long what the command has started may go on printing after it has ended,
	// such as the tee of a shell's >(tee log).
	outputGrace = 200 * time.Millisecond
	// copySize is how much is copied at once: as much as a pipe has.
	copySize = 64 << 10
	// maxPipe is more than a pipe has, unless root says otherwise (pipe(7), pipe-max-size).
	maxPipe = 1 << 20
)

// copies are the copies of what a command prints, which its pipes lead to: one goes on to the
// stream that would otherwise be the command's own, the other to a tail.
type copies struct {
	kept    *tail
	warn    func(error) // of output that is lost; it must not block
	readers []*os.File
	writers []*os.File // the command's ends of the pipes
	running sync.WaitGroup
}

// copyTo returns the streams to give to a command instead, and what copies from them until finish is
// called. Two streams that lead to the same file remain one, in which the order is as the command
// wrote.
func copyTo(files []*os.File, kept *tail, warn func(error)) (streams []*os.File, c *copies, err error) {
	streams, c = append([]*os.File(nil), files...), &copies{kept: kept, warn: warn}
	for fd := 1; fd < len(files); fd++ {
		switch {
		case files[fd] == nil:
		case fd > 1 && same(files[fd], files[fd-1]):
			streams[fd] = streams[fd-1]
		default:
			r, w, err := os.Pipe()
			if err != nil {
				c.close()
				return nil, nil, err
			}
			streams[fd] = w
			c.readers, c.writers = append(c.readers, r), append(c.writers, w)
			c.running.Go(func() { c.passOn(r, files[fd]) })
		}
	}
	return streams, c, nil
}

// same reports whether both are open, and are the same file.
func same(a, b *os.File) bool {
	if a == nil || b == nil {
		return false
	}
	aInfo, aErr := a.Stat()
	bInfo, bErr := b.Stat()
	return aErr == nil && bErr == nil && os.SameFile(aInfo, bInfo)
}

// close closes the command's ends of the pipes in this process. It comes when the command has
// been started: nothing is read after the last process has closed its own.
func (c *copies) close() {
	for _, w := range c.writers {
		w.Close()
	}
}

// finish waits until everything is copied that the command has printed, now that it has ended: for
// as long as the readers of its streams take, unless a signal asks to end. It does not wait for a
// process that the command has left behind.
func (c *copies) finish(s *signals) {
	for _, r := range c.readers {
		_ = r.SetReadDeadline(time.Now().Add(outputGrace)) // it is closed already if nobody reads any more
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.running.Wait()
	}()
	var over <-chan time.Time
	for {
		if over == nil && s.asked() {
			over = time.After(afterSignal)
		}
		select {
		case <-done:
			return
		case <-over:
			return
		case sig := <-s.caught:
			s.note(sig)
		}
	}
}

// passOn writes what it reads at once, and adds it to the tail, until nobody has the other end of the
// pipe any more, or the time is up. It closes its end when nobody reads what it writes: the command
// then learns what it would have learned from its own stream.
func (c *copies) passOn(from, to *os.File) {
	defer from.Close()
	stream := &stream{file: to, text: characters{tail: c.kept}, warn: c.warn}
	defer stream.text.end()
	buffer := make([]byte, copySize)
	for {
		n, err := from.Read(buffer)
		if !stream.print(buffer[:n]) {
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return
		}
	}
	// What the command printed before it ended is in the pipe.
	_ = from.SetReadDeadline(time.Time{})
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	for left := maxPipe; left > 0; {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.Read(int(fd), buffer) // it does not block
			return true
		})
		if err != nil || n <= 0 || !stream.print(buffer[:n]) {
			return
		}
		left -= n
	}
}

// stream is where one of the command's pipes leads to.
type stream struct {
	file   *os.File
	text   characters
	warn   func(error)
	warned bool
}

// print writes everything and adds it to the tail. Reports whether somebody reads it. The command
// goes on where it cannot be written for another reason, such as a full disk.
func (s *stream) print(p []byte) bool {
	s.text.add(p)
	err := write(s.file, p)
	if errors.Is(err, unix.EPIPE) {
		return false
	}
	if err != nil && !s.warned {
		s.warned = true
		s.warn(fmt.Errorf("some of what the command prints is lost: %w", err))
	}
	return true
}

// write writes everything, also where another process that has the file has made it non-blocking.
func write(to *os.File, p []byte) error {
	for len(p) > 0 {
		n, err := to.Write(p)
		p = p[n:]
		if errors.Is(err, unix.EAGAIN) {
			err = wait(to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wait waits until something can be written to the file.
func wait(to *os.File) error {
	raw, err := to.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		_, failure = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
	})
	if errors.Is(failure, unix.EINTR) {
		failure = nil
	}
	return errors.Join(err, failure)
}
