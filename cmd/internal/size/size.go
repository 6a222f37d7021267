// Package size reads sizes that people type, such as 64MiB.
package size

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// Value is a flag's value: a number of bytes.
type Value int

// String returns the size with a unit.
func (v Value) String() string { return humanize.IBytes(uint64(v)) }

// Set reads a size with or without a unit. Returns an error that names the text if it is none.
func (v *Value) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt {
		return fmt.Errorf("%q is not a number of bytes, such as 64MiB or 0", text)
	}
	*v = Value(n)
	return nil
}

// Type is what the help calls a value.
func (Value) Type() string { return "bytes" }
