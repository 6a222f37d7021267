package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/labstack/echo/v4"
)

// authentication finds out whose request it is, and limits how many a token may make and how often an address may be
// wrong about one.
type authentication struct {
	tokens   Tokens
	requests *limiter[TokenHash] // nil for no limit
	guesses  *guesses
}

func newAuthentication(tokens Tokens, limit RateLimit) *authentication {
	a := &authentication{tokens: tokens, guesses: newGuesses()}
	if limit != (RateLimit{}) {
		a.requests = newLimiter[TokenHash](limit)
	}
	return a
}

// authenticate returns the token whose secret the request carries, and counts the request.
// Returns ErrUnauthorized if there is none or it has expired, ErrUnavailable if the store cannot be reached.
// Returns ErrTooManyRequests if the token's requests are used up, together with the token, or if the caller's address
// has been wrong too often.
func (a *authentication) authenticate(c echo.Context) (Token, error) {
	secret, err := bearer(c.Request())
	if err != nil {
		// It is no guess, and costs no look-up: it does not count, or a probe without a token would shut others out.
		return Token{}, err
	}
	g := guess{from: source(c.RealIP()), hash: sha256.Sum256([]byte(secret))}
	if err := a.guesses.check(g); err != nil {
		return Token{}, err
	}
	token, err := a.find(c.Request().Context(), g.hash)
	switch {
	case errors.Is(err, ErrUnauthorized):
		a.guesses.wrong(g)
		return Token{}, err
	case err != nil:
		return Token{}, err
	}
	a.guesses.right(g)
	return token, a.count(c, g.hash, token)
}

// find returns the token with that hash.
// Returns ErrUnauthorized if there is none or it has expired, ErrUnavailable if the store cannot be reached.
func (a *authentication) find(ctx context.Context, hash TokenHash) (Token, error) {
	token, err := a.tokens.Token(ctx, hash)
	if errors.Is(err, ErrNotFound) {
		return Token{}, &problem{error: ErrUnauthorized, message: "the token is not valid"}
	}
	if err != nil {
		return Token{}, err
	}
	if token.ExpiresAt != nil && !time.Now().Before(*token.ExpiresAt) {
		return Token{}, &problem{error: ErrUnauthorized, message: "the token has expired"}
	}
	return token, nil
}

// The headers that say what the token may still ask for, as the reference API has them.
const (
	headerLimit     = "X-Ratelimit-Limit"
	headerRemaining = "X-Ratelimit-Remaining"
	headerReset     = "X-Ratelimit-Reset"
)

// count counts a request with the token, and has the answer say what is left when it begins: one that is held begins
// later.
// Returns ErrTooManyRequests if nothing was left.
func (a *authentication) count(c echo.Context, hash TokenHash, token Token) error {
	if a.requests == nil {
		return nil
	}
	wait, ok := a.requests.take(hash)
	c.Response().Before(func() {
		left, reset := a.requests.left(hash)
		header := c.Response().Header()
		header.Set(headerLimit, strconv.Itoa(a.requests.limit.Requests))
		header.Set(headerRemaining, strconv.Itoa(left))
		header.Set(headerReset, seconds(reset))
	})
	if ok {
		return nil
	}
	return &problem{
		error:   ErrTooManyRequests,
		message: fmt.Sprintf("the token %q has used up its requests: %s", token.Name, a.requests.limit),
		header:  seconds(wait),
	}
}

// guessLimit is how often an address may be wrong about a token. What is being looked up at the moment is not counted
// yet: an address may be wrong once more on each connection that it has, but a valid token that has not been seen there
// yet may come on any number of them at once.
var guessLimit = RateLimit{Requests: 60, Window: time.Minute}

// guess is a token that came from an address, valid or not.
type guess struct {
	from netip.Addr
	hash TokenHash
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
func (g *guesses) check(this guess) error {
	left, reset := g.failed.left(this.from)
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
func (g *guesses) wrong(this guess) {
	g.accepted.Remove(this)
	g.failed.take(this.from)
}

// source returns the address that what a caller does counts for. It is one for 64 bits of IPv6, as who has one such
// address mostly has all of them, and one for all whose address is unknown.
func source(ip string) netip.Addr {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap()
	if network, err := address.Prefix(64); err == nil { // IPv4 has no 64 bits
		return network.Addr()
	}
	return address
}
