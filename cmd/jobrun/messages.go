package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// messages writes messages for people in the background: standard error may be a pipe that nobody
// reads, and neither the command nor the recording waits for that.
type messages struct{ queue chan message }

type message struct {
	text    string
	written chan<- struct{} // closed when the message is written, unless nil
}

// maxMessages bounds how many messages wait to be written. More are dropped.
const maxMessages = 100

func newMessages(w io.Writer) messages {
	m := messages{queue: make(chan message, maxMessages)}
	go func() {
		for next := range m.queue {
			_, _ = io.WriteString(w, next.text) // there is nobody to tell
			if next.written != nil {
				close(next.written)
			}
		}
	}()
	return m
}

// printf has a message written, with the program's name before it.
func (m messages) printf(format string, args ...any) {
	select {
	case m.queue <- message{text: fmt.Sprintf("jobrun: "+format+"\n", args...)}:
	default:
	}
}

// Write has a message written as printf does, for package log. It never fails.
func (m messages) Write(p []byte) (int, error) {
	m.printf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// flush waits until all messages are written, or the limit is over.
func (m messages) flush(limit time.Duration) {
	written := make(chan struct{})
	over := time.After(limit)
	select {
	case m.queue <- message{written: written}:
	case <-over:
		return
	}
	select {
	case <-written:
	case <-over:
	}
}
