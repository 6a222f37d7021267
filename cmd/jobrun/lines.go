package main

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jobruns/jobruns/client"
)

const (
	maxLines = 1000   // of a report: the contract's bound
	maxLine  = 16_000 // characters; each takes up to 6 bytes in JSON, so that any line fits into a report
)

// lines keeps the last lines of what is printed. It is safe for concurrent use.
type lines struct {
	limit int // of the bytes of all lines together; at least 1

	mu   sync.Mutex
	kept []client.LogLine
	size int // bytes of all lines, a line end for each included
}

// add adds a line that was completed at that time. A line that is longer than the limit is cut.
func (l *lines) add(text string, at time.Time) {
	for n := l.limit - 1; len(text) > n; text = text[:n] {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, client.LogLine{TS: at.UTC().Truncate(time.Millisecond), Log: text})
	l.size += len(text) + 1
	for l.size > l.limit || len(l.kept) > maxLines {
		l.size -= len(l.kept[0].Log) + 1
		l.kept = l.kept[1:]
	}
}

// all returns the lines, the oldest first. It is safe on nil, which has none.
func (l *lines) all() []client.LogLine {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// stream turns what is printed to one stream into lines as a terminal shows them: a carriage return
// or a backspace moves back, so that the line is overwritten. Escape sequences have no effect, except
// the one that erases the line. Control characters are dropped, and invalid UTF-8 becomes U+FFFD. The
// characters of a line beyond maxLine are dropped.
type stream struct {
	lines *lines

	part   []byte // the beginning of a character
	line   []rune
	column int // where the next character goes
	mode   mode
	param  rune      // the last parameter of a control sequence, or 0
	at     time.Time // when something was last printed
}

// mode is the kind of characters that a stream expects (ECMA-48).
type mode int

const (
	inText     mode = iota
	inEscape        // after ESC
	inSequence      // after ESC [, until a letter
	inString        // after ESC ], such as the title of a window, until BEL or ESC \
)

const escape = '\x1b'

// add adds what is printed at that time.
func (s *stream) add(p []byte, at time.Time) {
	s.at = at
	if len(s.part) > 0 {
		p = append(s.part, p...)
		s.part = nil
	}
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if ended && s.isPlain(line) {
			s.lines.add(string(line), at) // three times as fast
		} else if s.part = s.putAll(p[:len(p)-len(rest)]); len(s.part) > 0 {
			return
		}
		p = rest
	}
}

// putAll puts characters, and returns a copy of the beginning of a character at the end of p.
func (s *stream) putAll(p []byte) []byte {
	for utf8.FullRune(p) {
		r, size := utf8.DecodeRune(p)
		s.put(r)
		p = p[size:]
	}
	return slices.Clone(p)
}

// isPlain reports whether a line is shown as it is: nothing comes before it, and it is plain ASCII.
func (s *stream) isPlain(line []byte) bool {
	return s.mode == inText && s.column == 0 && len(s.line) == 0 && len(line) <= maxLine &&
		!bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' })
}

// end adds a line without an end, when the stream has ended.
func (s *stream) end() {
	if len(s.part) > 0 {
		s.mode = inText
		s.put(utf8.RuneError)
	}
	if len(s.line) > 0 {
		s.put('\n')
	}
}

func (s *stream) put(r rune) {
	switch {
	case r == '\n': // it ends an escape sequence too, so that a broken one hides one line only
		s.lines.add(string(s.line), s.at)
		s.line, s.column, s.mode = s.line[:0], 0, inText
	case r == escape:
		s.mode = inEscape
	case s.mode != inText:
		s.follow(r)
	case r == '\r':
		s.column = 0
	case r == '\b':
		s.column = max(0, s.column-1)
	case r != '\t' && unicode.IsControl(r), s.column >= maxLine:
	case s.column < len(s.line):
		s.line[s.column] = r
		s.column++
	default:
		for len(s.line) < s.column {
			s.line = append(s.line, ' ')
		}
		s.line = append(s.line, r)
		s.column++
	}
}

// follow takes a character of an escape sequence.
func (s *stream) follow(r rune) {
	switch {
	case s.mode == inEscape && r == '[':
		s.mode, s.param = inSequence, 0
	case s.mode == inEscape && strings.ContainsRune("]PX^_", r):
		s.mode = inString
	case s.mode == inEscape && (r < ' ' || r > '/'), s.mode == inString && r == '\a':
		s.mode = inText
	case s.mode == inSequence && r >= '@' && r <= '~':
		s.mode = inText
		switch {
		case r == 'K' && s.param == '2':
			s.line = s.line[:0]
		case r == 'K' && (s.param == 0 || s.param == '0'):
			s.line = s.line[:min(s.column, len(s.line))]
		}
	case s.mode == inSequence:
		s.param = r
	}
}
