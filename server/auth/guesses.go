package auth

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/jobruns/jobruns/server/jobrun"
)

// guessLimit is how often an address may be wrong about a token. A look-up that goes on is not
// counted yet: an address may be wrong once more on each of its connections, but a valid token that
// has not been seen there yet may come on any number of them at once.
var guessLimit = RateLimit{Requests: 60, Window: time.Minute}

// guess is a token that came from an address, valid or not.
type guess struct {
	from netip.Addr
	hash jobrun.TokenHash
}

// guesses makes guessing tokens slow. From an address that has been wrong too often, no more tokens
// are looked up, except those that were right lately: their callers cannot be locked out. The
// address is part of the key, or else an address that is shut out could find out by guessing which
// tokens are used from other addresses.
type guesses struct {
	failed   *limiter[netip.Addr]
	accepted *lru.Cache[guess, struct{}]
}

func newGuesses() *guesses {
	accepted, err := lru.New[guess, struct{}](maxTracked)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &guesses{failed: newLimiter[netip.Addr](guessLimit), accepted: accepted}
}

// check returns ErrTooManyRequests if the token must not be looked up.
func (g *guesses) check(this guess, now time.Time) error {
	left, reset := g.failed.left(this.from, now)
	if left > 0 || g.accepted.Contains(this) {
		return nil
	}
	return &Error{
		sentinel:   ErrTooManyRequests,
		message:    "too many requests with tokens that are not valid have come from this address",
		RetryAfter: reset,
	}
}

func (g *guesses) right(this guess) { g.accepted.Add(this, struct{}{}) }

// wrong counts a token that is not valid; it may have been, until it was revoked or expired.
func (g *guesses) wrong(this guess, now time.Time) {
	g.accepted.Remove(this)
	g.failed.take(this.from, now)
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
