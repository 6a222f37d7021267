package main

import (
	"fmt"
	"io"
	"time"
)

// messages writes messages to standard error in the background: it may be a pipe that is full, and
// neither the command nor the recording waits for its reader.
type messages chan message

type message struct {
	text    string
	written chan<- struct{} // closed when the message is written; may be nil
}

// maxMessages bounds how many messages wait to be written. Further messages are dropped.
const maxMessages = 100

func newMessages(w io.Writer) messages {
	m := make(messages, maxMessages)
	go func() {
		for next := range m {
			_, _ = io.WriteString(w, next.text) // no other place is left to report the failure
			if next.written != nil {
				close(next.written)
			}
		}
	}()
	return m
}

// printf writes a message behind the program's name.
func (m messages) printf(format string, args ...any) {
	m.print("jobrun: " + fmt.Sprintf(format, args...))
}

// print writes a line as it is.
func (m messages) print(line string) {
	select {
	case m <- message{text: line + "\n"}:
	default:
	}
}

// flush waits until all messages are written, but not longer than the limit.
func (m messages) flush(limit time.Duration) {
	written, over := make(chan struct{}), time.After(limit)
	select {
	case m <- message{written: written}:
	case <-over:
		return
	}
	select {
	case <-written:
	case <-over:
	}
}
