// Package contract checks strings against the rules of the contract, openapi.yaml, prepared once so that a check costs
// next to nothing.
package contract

// Text is what a schema says of a string.
type Text struct {
	MinLength int // in characters
	MaxLength int // in characters; -1 for any
	Pattern   *Pattern
}

// Accepts reports whether the string certainly is within the rules. Of one in ASCII that is so if and only if it is; what
// counts as a character of others is not decided here.
func (t *Text) Accepts(s string) bool {
	if t.MinLength > 0 || t.MaxLength >= 0 {
		if len(s) < t.MinLength || t.MaxLength >= 0 && len(s) > t.MaxLength || !ascii(s) {
			return false
		}
	}
	return t.Pattern == nil || t.Pattern.MatchString(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= asciiSize {
			return false
		}
	}
	return true
}
