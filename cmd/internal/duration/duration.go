// Package duration reads durations that people type, in days too.
package duration

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Parse reads a duration of time.ParseDuration, or one that begins with days of 24 hours, such as
// 90d or 1d12h. Returns an error for anything else, and for what is negative or beyond 65535 days.
func Parse(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	switch {
	case !ok:
		days, rest = "0", s
	case rest == "":
		rest = "0"
	}
	n, err := strconv.ParseUint(days, 10, 16)
	d, restErr := time.ParseDuration(rest)
	sum := time.Duration(n)*day + d
	if err != nil || restErr != nil || d < 0 || sum < 0 {
		return 0, errors.New("not a duration such as 90s, 12h, 90d or 1d12h")
	}
	return sum, nil
}

// Format returns a duration as Parse reads it: with days, and without parts that are zero at the
// end, such as 90d, 1d12h or 30m.
func Format(d time.Duration) string {
	days, rest := d/day, d%day
	s := rest.String()
	if trimmed, ok := strings.CutSuffix(s, "m0s"); ok {
		s = trimmed + "m"
	}
	if trimmed, ok := strings.CutSuffix(s, "h0m"); ok {
		s = trimmed + "h"
	}
	switch {
	case days == 0:
		return s
	case rest == 0:
		return strconv.FormatInt(int64(days), 10) + "d"
	}
	return strconv.FormatInt(int64(days), 10) + "d" + strings.TrimPrefix(s, "-")
}

// Value is a flag's value, in a variable of its own or made of one by a conversion.
type Value time.Duration

// String returns the duration, and nothing for none, so that the help shows no default then.
func (v *Value) String() string {
	if *v == 0 {
		return ""
	}
	return Format(time.Duration(*v))
}

// Set reads the duration like Parse.
func (v *Value) Set(s string) error {
	d, err := Parse(s)
	if err == nil {
		*v = Value(d)
	}
	return err
}

// Type returns the kind of value.
func (v *Value) Type() string { return "duration" }
