package jobrun

import (
	"fmt"
	"regexp"
	"sync"
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
