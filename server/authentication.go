package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jobruns/jobruns/server/jobrun"
)

// authentication finds out whose request it is, and limits how many a token may make and how often an address may be
// wrong about one.
type authentication struct {
	tokens  Tokens
	limit   RateLimit // the zero value for no limit
	header  []string  // that tells the limit
	bearers bearers
	guesses *guesses
}

func newAuthentication(tokens Tokens, limit RateLimit) *authentication {
	return &authentication{
		tokens:  tokens,
		limit:   limit,
		header:  []string{strconv.Itoa(limit.Requests)},
		bearers: newBearers(),
		guesses: newGuesses(),
	}
}

// authenticate finds out whose the request is by the secret that it carries, and counts it.
// Returns ErrUnauthorized if there is none or it has expired, ErrUnavailable if the store cannot be reached.
// Returns ErrTooManyRequests if the token's requests are used up, or if the caller's address has been wrong too often.
func (a *authentication) authenticate(c *call) error {
	secret, err := bearerSecret(c.Request())
	if err != nil {
		// It is no guess, and costs no look-up: it does not count, or a probe without a token would shut others out.
		return err
	}
	g := guess{from: source(c.remote), hash: sha256.Sum256([]byte(secret))}
	known, token, here := a.bearers.kept(g.hash, c.revision, g.from)
	if token != nil && expired(token, c.begin) {
		token = nil // the store may know better
	}
	if token == nil || !here {
		if token, err = a.admit(c, g, token); err != nil {
			return err
		}
		known = a.bearers.accepted(g.hash, token, c.revision, g.from)
	}
	c.bearer, c.token = known, token
	return a.count(c)
}

// admit returns the token, which it looks up if it is nil, unless the address has been wrong too often.
// Returns errors as authenticate does.
func (a *authentication) admit(c *call, g guess, token *jobrun.Token) (*jobrun.Token, error) {
	if err := a.guesses.check(g, c.begin); err != nil {
		return nil, err
	}
	if token == nil {
		found, err := a.tokens.Token(c.Request().Context(), g.hash)
		switch {
		case errors.Is(err, jobrun.ErrNotFound):
			err = &problem{error: ErrUnauthorized, message: "the token is not valid"}
		case err != nil:
			return nil, err
		case expired(&found, c.begin):
			err = &problem{error: ErrUnauthorized, message: "the token has expired"}
		}
		if err != nil {
			a.guesses.wrong(g, c.begin)
			return nil, err
		}
		token = &found
	}
	a.guesses.right(g)
	return token, nil
}

// The headers that say what the token may still ask for, as the reference API has them.
const (
	headerLimit     = "X-Ratelimit-Limit"
	headerRemaining = "X-Ratelimit-Remaining"
	headerReset     = "X-Ratelimit-Reset"
)

// count counts a request with the token, and has the answer say what is left.
// Returns ErrTooManyRequests if nothing was left.
func (a *authentication) count(c *call) error {
	if a.limit == (RateLimit{}) {
		return nil
	}
	left, reset, ok := c.bearer.take(a.limit, c.begin)
	a.setLimit(c, left, reset)
	if ok {
		return nil
	}
	return &problem{
		error:   ErrTooManyRequests,
		message: fmt.Sprintf("the token %q has used up its requests: %s", c.token.Name, a.limit),
		header:  seconds(reset),
	}
}

// tellLimit has the answer say what is left now: it was held since the request was counted.
func (a *authentication) tellLimit(c *call) {
	if a.limit != (RateLimit{}) {
		left, reset := c.bearer.left(a.limit, time.Now())
		a.setLimit(c, left, reset)
	}
}

func (a *authentication) setLimit(c *call, left int, reset time.Duration) {
	c.Response().Header()[headerLimit] = a.header
	c.setHeader(headerRemaining, placeRemaining, strconv.Itoa(left))
	c.setHeader(headerReset, placeReset, seconds(reset))
}

// guessLimit is how often an address may be wrong about a token. What is being looked up at the moment is not counted
// yet: an address may be wrong once more on each connection that it has, but a valid token that has not been seen there
// yet may come on any number of them at once.
var guessLimit = RateLimit{Requests: 60, Window: time.Minute}

// guess is a token that came from an address, valid or not.
type guess struct {
	from netip.Addr
	hash jobrun.TokenHash
}

// guesses makes guessing tokens slow. From an address that has been wrong too often no more tokens are looked up, but for
// those that were right lately: whoever uses one there cannot be locked out. The address is part of it, or else
// an address that is shut out could find out by guessing which tokens are in use elsewhere.
type guesses struct {
	failed   *limiter[netip.Addr]
	accepted *lru.Cache[guess, struct{}]
}

func newGuesses() *guesses {
	accepted, err := lru.New[guess, struct{}](remembered)
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
	return &problem{
		error:   ErrTooManyRequests,
		message: "too many requests with tokens that are not valid have come from this address",
		header:  seconds(reset),
	}
}

func (g *guesses) right(this guess) { g.accepted.Add(this, struct{}{}) }

// wrong counts a token that is not valid; it may have been, until it was revoked or expired.
func (g *guesses) wrong(this guess, now time.Time) {
	g.accepted.Remove(this)
	g.failed.take(this.from, now)
}

// source returns the address that what a caller does counts for. It is one for 64 bits of IPv6, as who has one such
// address mostly has all of them, and one for all whose address is unknown.
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
