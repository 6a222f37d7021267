//go:build man

package main

import "github.com/jobruns/jobruns/cmd/internal/man"

// The manual pages are written instead of what main would do.
func init() { man.Main(newRoot()) }
