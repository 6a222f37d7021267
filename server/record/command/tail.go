package command

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jobruns/jobruns/gen/model"
)

// MaxKeepOutput is the most that Command.KeepOutput may be.
const MaxKeepOutput = 1 << 20

// tail keeps the end of what is added to it. It is safe for concurrent use.
type tail struct {
	limit int // how many bytes to keep

	mu    sync.Mutex
	bytes []byte // the last ones, at most twice as many as are wanted
	cut   bool   // whether there was more before
}

func (t *tail) add(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := t.limit + utf8.UTFMax // so that a character which the limit cuts is known for one
	if len(p) > wanted {
		p, t.bytes, t.cut = p[len(p)-wanted:], t.bytes[:0], true
	}
	if len(t.bytes)+len(p) > 2*wanted {
		t.bytes = t.bytes[:copy(t.bytes, t.bytes[len(t.bytes)-wanted:])]
		t.cut = true
	}
	t.bytes = append(t.bytes, p...)
}

// output returns the end of what was added, as text: it begins with a whole character, and has
// U+FFFD in place of what is no UTF-8.
func (t *tail) output() *model.JobRunOutput {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, cut := lastCharacters(string(t.bytes), t.limit)
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	text, longer := lastCharacters(text, t.limit)
	return &model.JobRunOutput{Output: &text, Truncated: t.cut || cut || longer}
}

// lastCharacters returns the end of the text, of at most so many bytes, from the beginning of a
// character on, and whether that is not all of it.
func lastCharacters(text string, limit int) (string, bool) {
	if len(text) <= limit {
		return text, false
	}
	text = text[len(text)-limit:]
	for i := range min(utf8.UTFMax, len(text)) {
		if utf8.RuneStart(text[i]) {
			return text[i:], true
		}
	}
	if len(text) < utf8.UTFMax { // there is no room for a character
		return "", true
	}
	return text, true
}

// characters adds one stream to a tail in whole characters, so that two streams do not meet within
// one.
type characters struct {
	tail *tail
	rest []byte // the beginning of a character, whose end may come
}

func (c *characters) add(p []byte) {
	if len(c.rest) > 0 {
		p = append(c.rest, p...)
	}
	whole := len(p)
	for i := len(p) - 1; i >= max(0, len(p)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				whole = i
			}
			break
		}
	}
	c.tail.add(p[:whole])
	c.rest = append([]byte(nil), p[whole:]...)
}

// end adds what is left, when the stream has ended.
func (c *characters) end() { c.tail.add(c.rest) }
