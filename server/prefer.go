package server

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// maxWait is how long a response waits at the most: less than the 60 seconds after which proxies
// such as nginx give up.
const maxWait = 55 * time.Second

// preferredWait returns how long the caller prefers to wait, at most maxWait, and whether it
// prefers to wait at all: by the first "wait" preference in the Prefer header (RFC 7240, sections 2
// and 4.3), unless it is malformed.
func preferredWait(prefer *string) (time.Duration, bool) {
	if prefer == nil {
		return 0, false
	}
	for preference := range elements(*prefer) {
		word, _, _ := strings.Cut(preference, ";")
		name, value, _ := strings.Cut(word, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value = strings.TrimSpace(value)
		if unquoted, ok := strings.CutPrefix(value, `"`); ok {
			if value, ok = strings.CutSuffix(unquoted, `"`); !ok {
				return 0, false
			}
		}
		if value == "" || strings.Trim(value, "0123456789") != "" {
			return 0, false
		}
		seconds, err := strconv.ParseInt(value, 10, 64)
		if longest := int64(maxWait / time.Second); err != nil || seconds > longest {
			seconds = longest // digits that are too many are a large number all the same
		}
		return time.Duration(seconds) * time.Second, true
	}
	return 0, false
}

// elements splits a list header (RFC 9110, section 5.6.1) at its commas, except those in quoted
// strings.
func elements(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		begin, quoted := 0, false
		for i := 0; i < len(list); i++ {
			switch {
			case quoted && list[i] == '\\':
				i++
			case list[i] == '"':
				quoted = !quoted
			case !quoted && list[i] == ',':
				if !yield(list[begin:i]) {
					return
				}
				begin = i + 1
			}
		}
		yield(list[begin:])
	}
}
