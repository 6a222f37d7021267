package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// boolean is stored as 0 or 1, as the contract's flags are.
type boolean bool

// Scan takes any number but 0 for true, as the conditions in SQL do.
func (b *boolean) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("%T is not a number", value)
	}
	*b = n != 0
	return nil
}

// Value returns 0 or 1.
func (b *boolean) Value() (driver.Value, error) {
	if *b {
		return int64(1), nil
	}
	return int64(0), nil
}

// seconds is stored as whole seconds since 1970; fractions are dropped. It is in UTC when scanned.
type seconds time.Time

// Scan takes a number of seconds.
func (s *seconds) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("%T is not a number of seconds", value)
	}
	*s = seconds(time.Unix(n, 0).UTC())
	return nil
}

// Value returns a number of seconds.
func (s *seconds) Value() (driver.Value, error) { return time.Time(*s).Unix(), nil }

// nullSeconds is seconds for a time that may be nil, which is stored as NULL.
type nullSeconds struct{ time **time.Time }

// Scan takes a number of seconds or nil.
func (s nullSeconds) Scan(value any) error {
	*s.time = nil
	if value == nil {
		return nil
	}
	var t time.Time
	*s.time = &t
	return (*seconds)(&t).Scan(value)
}

// Value returns a number of seconds or nil.
func (s nullSeconds) Value() (driver.Value, error) {
	if *s.time == nil {
		return nil, nil
	}
	return (*s.time).Unix(), nil
}

// list is stored as a JSON array of strings, never null.
type list []string

// Scan takes a JSON array of strings.
func (l *list) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%T is not a JSON array", value)
	}
	return json.Unmarshal([]byte(text), l)
}

// Value returns a JSON array; it is empty for nil.
func (l *list) Value() (driver.Value, error) {
	if *l == nil {
		return "[]", nil
	}
	text, err := json.Marshal(*l)
	return string(text), err
}
