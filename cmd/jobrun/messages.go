package main

import (
	"fmt"
	"os"
	"time"
)

// messages writes messages to standard error in the background: it may be a pipe that is full, and
// neither the command nor the recording waits for its reader.
type messages chan func()

func newMessages() messages {
	m := make(messages, 100) // further messages are dropped
	go func() {
		for write := range m {
			write()
		}
	}()
	return m
}

// printf writes a line.
func (m messages) printf(format string, args ...any) {
	select {
	case m <- func() { fmt.Fprintf(os.Stderr, format+"\n", args...) }:
	default:
	}
}

// flush waits until all messages are written, but not longer than the limit.
func (m messages) flush(limit time.Duration) {
	written, over := make(chan struct{}), time.After(limit)
	select {
	case m <- func() { close(written) }:
	case <-over:
		return
	}
	select {
	case <-written:
	case <-over:
	}
}
