package main

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// newLog returns the log of a process that serves, on standard error: text on a terminal, JSON
// otherwise. It is slog's default too, which packages without a log of their own write to. The
// function that it returns besides writes the last lines, which may be buffered.
func newLog() (log *slog.Logger, end func()) {
	defer func() { slog.SetDefault(log) }()
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(os.Stderr, nil)), func() {}
	}
	lines := &batchWriter{to: os.Stderr}
	return slog.New(slog.NewJSONHandler(lines, nil)), lines.flush
}

// flushInterval is how long a line may be buffered, and flushBytes how many bytes are.
const (
	flushInterval = 10 * time.Millisecond
	flushBytes    = 64 << 10
)

// batchWriter writes lines together that come close after each other: a system call for each line
// of a busy server takes longer than all else about it (10 % of its requests). A line after a pause
// is written at once. It is safe for concurrent use.
type batchWriter struct {
	to      io.Writer
	mu      sync.Mutex
	pending []byte
	busy    bool // a timer will write what is pending
}

// Write buffers or writes whole lines. Returns an error if it wrote them and failed.
func (w *batchWriter) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, lines...)
	if w.busy && len(w.pending) < flushBytes {
		return len(lines), nil
	}
	if !w.busy {
		w.busy = true
		time.AfterFunc(flushInterval, w.tick)
	}
	return len(lines), w.writePending()
}

func (w *batchWriter) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy = len(w.pending) > 0; w.busy {
		_ = w.writePending() // a log that cannot be written cannot say so
		time.AfterFunc(flushInterval, w.tick)
	}
}

// flush writes what is pending.
func (w *batchWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.writePending() // a log that cannot be written cannot say so
}

func (w *batchWriter) writePending() error {
	_, err := w.to.Write(w.pending)
	w.pending = w.pending[:0]
	return err
}
