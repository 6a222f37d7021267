package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// size is a flag's value: a number of bytes.
type size int

// String returns the size with a unit.
func (s size) String() string { return humanize.IBytes(uint64(s)) }

// Set reads a size with or without a unit. Returns an error that names the text if it is none.
func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt {
		return fmt.Errorf("%q is not a number of bytes, such as 64MiB or 0", text)
	}
	*s = size(n)
	return nil
}

// Type is what the help calls a value.
func (s size) Type() string { return "bytes" }
