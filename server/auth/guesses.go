package auth

import (
	"context"
	"net/netip"
	"time"
)

// guessLimit is how often an address may be wrong about a token at full speed.
var guessLimit = RateLimit{Requests: 60, Window: time.Minute}

// guesses makes guessing tokens slow. The tokens of addresses that have been wrong too often are
// looked up one at a time, so that what they cost is bounded. A valid one is accepted all the same:
// behind a proxy, its caller has the address of many others.
type guesses struct {
	failed tracked[netip.Addr]
	slow   chan struct{} // holds a value while such a token is looked up
}

func newGuesses() *guesses {
	return &guesses{failed: newTracked[netip.Addr](), slow: make(chan struct{}, 1)}
}

// slowness says how a token is looked up.
type slowness struct {
	down  bool          // whether the address has been wrong too often
	reset time.Duration // until when that counts
	end   func()        // ends the look-up; call it in the end
}

// wait waits until a token from the address may be looked up.
// Returns the context's error if that ends before.
func (g *guesses) wait(ctx context.Context, from netip.Addr, now time.Time) (slowness, error) {
	e, found := g.failed.Get(from)
	if !found {
		return slowness{end: func() {}}, nil
	}
	left, reset := e.left(&e.window, guessLimit, now)
	if left > 0 {
		return slowness{end: func() {}}, nil
	}
	select {
	case g.slow <- struct{}{}:
		return slowness{down: true, reset: reset, end: func() { <-g.slow }}, nil
	case <-ctx.Done():
		return slowness{}, ctx.Err()
	}
}

// wrong counts a token that is not valid; it may have been, until it was revoked or expired.
func (g *guesses) wrong(from netip.Addr, now time.Time) {
	e := g.failed.entry(from)
	e.take(&e.window, guessLimit, now)
}

// source returns the address that a caller's requests count for. It is the same for 64 bits of
// IPv6, because a caller with one such address mostly has all of them, and the same for all unknown
// addresses.
func source(ip string) netip.Addr {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	if address = address.Unmap(); address.Is4() {
		return address
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address // there are 64 bits
	}
	return network.Addr()
}
