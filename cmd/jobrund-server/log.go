package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/term"
)

// newLog returns the log of a process that serves, on standard error. What it returns besides ends it: the last lines may
// not have been written before.
func newLog() (log *slog.Logger, end func()) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(os.Stderr, nil)), func() {}
	}
	lines := &lines{to: os.Stderr}
	return slog.New(&jsonHandler{lines: lines}), lines.flush
}

// jsonHandler writes lines as those of [slog.JSONHandler], in a third of the time: a line for each request is a good part
// of what a request takes. There are no groups.
type jsonHandler struct {
	*lines
	attributes []byte // those that all lines have
}

// Enabled implements slog.Handler.
func (h *jsonHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

// Handle implements slog.Handler.
func (h *jsonHandler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := append(h.pending, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, r.Level.String()...)
	b = append(b, `","msg":`...)
	b = appendString(b, r.Message)
	b = append(b, h.attributes...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttribute(b, a)
		return true
	})
	h.pending = append(b, '}', '\n')
	return h.added()
}

// WithAttrs implements slog.Handler.
func (h *jsonHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	b := slices.Clone(h.attributes)
	for _, a := range attributes {
		b = appendAttribute(b, a)
	}
	return &jsonHandler{h.lines, b}
}

// WithGroup implements slog.Handler, and leaves the group out.
func (h *jsonHandler) WithGroup(string) slog.Handler { return h }

func appendAttribute(b []byte, a slog.Attr) []byte {
	b = append(b, ',')
	b = appendString(b, a.Key)
	b = append(b, ':')
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindFloat64:
		return strconv.AppendFloat(b, v.Float64(), 'f', -1, 64)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	default:
		return appendString(b, v.String())
	}
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // strings never fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// batchTime is how long a line may have to wait for others before it is written, and batchBytes how many bytes do.
const (
	batchTime  = 10 * time.Millisecond
	batchBytes = 64 << 10
)

// lines are written together when they come close after each other: a write for each takes longer than the rest of it. A
// line that none came close before is written at once.
type lines struct {
	to      io.Writer
	mu      sync.Mutex
	pending []byte
	busy    bool // a timer runs that will write what is pending
}

// added writes what is pending, or leaves that to others.
func (l *lines) added() error {
	if l.busy && len(l.pending) < batchBytes {
		return nil
	}
	if !l.busy {
		l.busy = true
		time.AfterFunc(batchTime, l.tick)
	}
	return l.write()
}

func (l *lines) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy = len(l.pending) > 0; l.busy {
		_ = l.write() // whoever cannot write a log cannot tell
		time.AfterFunc(batchTime, l.tick)
	}
}

// flush writes what is pending.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.write() // whoever cannot write a log cannot tell
}

func (l *lines) write() error {
	_, err := l.to.Write(l.pending)
	l.pending = l.pending[:0]
	return err
}
