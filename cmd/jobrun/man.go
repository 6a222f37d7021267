//go:build man

package main

import "github.com/jobruns/jobruns/cmd/internal/man"

// The manual page is written instead of what main would do.
func init() { man.Main(newRoot()) }
