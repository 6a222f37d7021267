package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// size is a flag's value: a number of bytes.
type size int

func (s *size) String() string { return humanize.IBytes(uint64(*s)) }

func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt {
		return fmt.Errorf("%q is not a number of bytes, such as 64MiB or 0", text)
	}
	*s = size(n)
	return nil
}

func (s *size) Type() string { return "bytes" }
