package auth

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RateLimit is how many requests each token may make in a window of time, which opens with the
// token's first request. The zero value is no limit. A pointer to one is the value of a flag
// (pflag.Value).
type RateLimit struct {
	Requests int           // at least 1
	Window   time.Duration // at least a second: what a response says of it is in whole ones
}

// ParseRateLimit reads the requests and the window, in the form of [time.ParseDuration], with a
// slash between them: "1000/1h", "50/10s". "0" is no limit. Returns an error that names s for
// anything else, and for less than 1 request or a window of less than a second.
func ParseRateLimit(s string) (RateLimit, error) {
	if s == "0" {
		return RateLimit{}, nil
	}
	requests, window, _ := strings.Cut(s, "/")
	n, errRequests := strconv.ParseUint(requests, 10, 31)
	d, errWindow := time.ParseDuration(window)
	l := RateLimit{Requests: int(n), Window: d}
	if errRequests != nil || errWindow != nil || l == (RateLimit{}) || !l.valid() {
		return RateLimit{}, fmt.Errorf(
			"rate limit %q: must be requests/time, such as 1000/1h, of at least 1/1s, or 0 for no limit",
			s,
		)
	}
	return l, nil
}

// Check returns an error if the limit is neither none nor one that ParseRateLimit would return.
func (l RateLimit) Check() error {
	if !l.valid() {
		return fmt.Errorf("the rate limit is %s: less than 1 request, or a window of less than a second", l)
	}
	return nil
}

func (l RateLimit) valid() bool {
	return l == RateLimit{} || l.Requests >= 1 && l.Window >= time.Second
}

// String returns what ParseRateLimit reads.
func (l RateLimit) String() string {
	if l == (RateLimit{}) {
		return "0"
	}
	window := l.Window.String()
	if strings.HasSuffix(window, "m0s") {
		window = strings.TrimSuffix(window, "0s")
	}
	if strings.HasSuffix(window, "h0m") {
		window = strings.TrimSuffix(window, "0m")
	}
	return fmt.Sprintf("%d/%s", l.Requests, window)
}

// Set changes the limit to what ParseRateLimit reads. Where that returns an error, so does Set, and
// changes nothing.
func (l *RateLimit) Set(s string) error {
	parsed, err := ParseRateLimit(s)
	if err == nil {
		*l = parsed
	}
	return err
}

// Type is what the help of a flag calls a value.
func (l *RateLimit) Type() string { return "requests/time" }

// window is open from the first that is counted in it. It is not safe for concurrent use.
type window struct {
	ends time.Time
	used int
}

// take counts one more in the window, unless it is used up: then it returns false. It returns the
// time until the window ends.
func (w *window) take(limit RateLimit, now time.Time) (reset time.Duration, ok bool) {
	if !now.Before(w.ends) {
		*w = window{ends: now.Add(limit.Window)}
	}
	if w.used < limit.Requests {
		w.used++
		ok = true
	}
	return w.ends.Sub(now), ok
}

// left returns how many are left in the window, and the time until it ends: those of a new one if
// it is not open.
func (w *window) left(limit RateLimit, now time.Time) (left int, reset time.Duration) {
	if !now.Before(w.ends) {
		return limit.Requests, limit.Window
	}
	return limit.Requests - w.used, w.ends.Sub(now)
}
