//go:build man

package main

import (
	"github.com/jobruns/jobruns/cmd/internal/jobrund"
	"github.com/jobruns/jobruns/cmd/internal/man"
)

// What main would do is not done.
func init() { man.Main(jobrund.Root(commands()...)) }
