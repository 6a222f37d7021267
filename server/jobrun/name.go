package jobrun

import (
	"fmt"
	"strings"
	"unicode"
)

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

// printable returns the text on one line, without what a terminal would act upon, and with at most
// so many characters.
func printable(text string, most int) string {
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
