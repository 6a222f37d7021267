package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// size is a flag's value: a number of bytes.
type size int

// String implements pflag.Value.
func (s size) String() string { return humanize.IBytes(uint64(s)) }

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt {
		return fmt.Errorf("%q is not a number of bytes, such as 64MiB or 0", text)
	}
	*s = size(n)
	return nil
}

// Type implements pflag.Value.
func (s size) Type() string { return "bytes" }
