package jobrun

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// The rules of an ID, as the schema ID of openapi.yaml has them: a test compares the two. They are
// repeated here for programs that read no document, because reading it takes a command longer than
// all else that it does.
const (
	idDescription = "Letters, digits, `.`, `_` and `-`, beginning and ending with a letter or digit."
	idMinLength   = 1
	idMaxLength   = 253
	idPattern     = `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
)

var compiledIDPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(idPattern) })

// CheckID returns an error that says what an ID looks like if the text is none.
func CheckID(text string) error {
	// The pattern allows ASCII only, so that bytes are characters.
	if len(text) < idMinLength || len(text) > idMaxLength || !compiledIDPattern().MatchString(text) {
		return fmt.Errorf("must have %d to %d characters: %s", idMinLength, idMaxLength, idDescription)
	}
	return nil
}

// CheckName returns an error that names the character if a run's name has one that a terminal would
// act upon, and that the contract's pattern does not refuse: C1, which may begin an escape sequence,
// line and paragraph separators, and changes of the writing direction (Unicode's Bidi_Control). The
// pattern cannot, because names that are stored already must stay within the contract.
func CheckName(name string) error { return checkCharacters("runName", name) }

// checkCharacters is CheckName for any text; field is what the error calls it.
func checkCharacters(field, text string) error {
	for _, r := range text {
		if isActedUpon(r) {
			return fmt.Errorf("%s: must not have the character %U, which a terminal would act upon", field, r)
		}
	}
	return nil
}

func isActedUpon(r rune) bool {
	return r >= '\u0080' && r <= '\u009f' || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// sanitize returns the text on one line, without what a terminal would act upon, and with at most
// so many characters.
func sanitize(text string, most int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == '\x7f' || isActedUpon(r) {
			return ' '
		}
		return r // what is no UTF-8 is U+FFFD already
	}, text))
	if characters := []rune(text); len(characters) > most {
		return string(characters[:most-3]) + "..."
	}
	return text
}
