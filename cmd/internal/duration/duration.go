// Package duration reads durations that people type, in days too.
package duration

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errNone = errors.New("not a duration such as 90s, 12h, 90d or 1d12h")

// Parse reads a duration of time.ParseDuration, or one that begins with days of 24 hours, such as
// 90d or 1d12h. Returns an error for anything else, and for what a time.Duration cannot hold.
func Parse(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errNone
		}
		return d, nil
	}
	n, err := strconv.ParseFloat(days, 64)
	whole := n * float64(day)
	if err != nil || strings.ContainsAny(days, "nNxX_eEpP") || math.Abs(whole) >= math.MaxInt64 {
		return 0, errNone
	}
	if rest == "" {
		return time.Duration(whole), nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, "-") {
		return 0, errNone
	}
	if strings.HasPrefix(days, "-") {
		more = -more
	}
	sum := time.Duration(whole) + more
	if (sum < 0) != strings.HasPrefix(days, "-") && sum != 0 {
		return 0, errNone // it does not fit
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
