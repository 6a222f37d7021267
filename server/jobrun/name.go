package jobrun

import (
	"fmt"
	"unicode"
)

// CheckName returns an error that names the character if a run's name has one that a terminal would
// act upon, and that the contract's pattern does not refuse: C1, which may begin an escape sequence,
// line and paragraph separators, and changes of the writing direction (Unicode's Bidi_Control). The
// pattern cannot, because names that are stored already must stay within the contract.
func CheckName(name string) error {
	for _, r := range name {
		if r >= '\u0080' && r <= '\u009f' || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return fmt.Errorf("runName: must not have the character %U, which a terminal would act upon", r)
		}
	}
	return nil
}
