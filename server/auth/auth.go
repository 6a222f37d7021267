// Package auth finds out which token a request carries and what that may do, limits how many
// requests a token may make, and makes guessing tokens slow. It knows neither Echo nor the
// contract.
package auth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// The sentinels that an [*Error] wraps.
var (
	// ErrUnauthorized means that the request carries no token.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrInvalidToken means that the request carries a token that is not valid, or no longer.
	ErrInvalidToken = errors.New("invalid token")
	// ErrForbidden means that the token may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrNoTeam means that the request names no team, and the token belongs to several.
	ErrNoTeam = errors.New("no team")
	// ErrTooManyRequests means that the token has used up its requests for now, or that too many
	// tokens that are not valid came from the caller's address.
	ErrTooManyRequests = errors.New("too many requests")
)

// Error is what the caller is told: it says nothing that the caller does not know or may not know.
type Error struct {
	sentinel   error
	message    string
	Permission string        // that the token lacks; "" unless ErrForbidden
	RetryAfter time.Duration // when it is worth another try; 0 unless ErrTooManyRequests
}

// Error returns a sentence for the caller.
func (e *Error) Error() string { return e.message }

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.sentinel }

// Tokens is where tokens are looked up.
type Tokens interface {
	// Token returns the token with that hash, expired or not. Returns jobrun.ErrNotFound if there
	// is none, and jobrun.ErrUnavailable if the store cannot be reached.
	Token(ctx context.Context, hash jobrun.TokenHash) (jobrun.Token, error)
}

// Revisions tells whether a token may have changed since it was looked up.
type Revisions interface {
	// Current returns a number that changes within a second after any token has changed, and false
	// if it is not known: then no cached token counts.
	Current(ctx context.Context) (number int64, known bool)
}

// Authenticator authenticates requests. It is safe for concurrent use.
type Authenticator struct {
	tokens    Tokens
	revisions Revisions
	limits    Limits
	entries   entries
	guesses   *guesses
}

// Limits limit what each token may do.
type Limits struct {
	Requests RateLimit // requests that read
	NewRuns  RateLimit // new runs that are recorded; reports on recorded runs have a budget of their own
}

// New returns an authenticator of requests with tokens.
func New(tokens Tokens, revisions Revisions, limits Limits) *Authenticator {
	return &Authenticator{
		tokens:    tokens,
		revisions: revisions,
		limits:    limits,
		entries:   entries{newTracked[jobrun.TokenHash]()},
		guesses:   newGuesses(),
	}
}

// Authenticate returns the session of the token in the Authorization header. The caller's address
// is one of IPv4 or IPv6, or any other text for an unknown address.
//
// Returns ErrUnauthorized if there is no token, ErrInvalidToken if it is not valid, and
// ErrTooManyRequests in its place if the address has sent too many such tokens. Returns errors of
// Tokens but jobrun.ErrNotFound.
func (a *Authenticator) Authenticate(ctx context.Context, header http.Header, address string) (*Session, error) {
	secret, err := bearerSecret(header)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	revision, known := a.revisions.Current(ctx)
	hash := jobrun.HashToken(secret)
	e, token := a.entries.lookUp(hash, revision, known)
	if token == nil || expired(token, now) { // the store may know better
		if token, err = a.lookUp(ctx, hash, source(address), now); err != nil {
			return nil, err
		}
		e = a.entries.accept(hash, token, revision, known)
	}
	return &Session{Token: token, entry: e, authenticator: a, hash: hash}, nil
}

// lookUp looks a token up for a caller at an address, and counts one that is not valid. Returns
// errors as Authenticate does.
func (a *Authenticator) lookUp(
	ctx context.Context, hash jobrun.TokenHash, from netip.Addr, now time.Time,
) (*jobrun.Token, error) {
	slow, err := a.guesses.wait(ctx, from, now)
	if err != nil {
		return nil, err
	}
	defer slow.end()
	token, err := a.valid(ctx, hash, now)
	if errors.Is(err, ErrInvalidToken) {
		a.guesses.wrong(from, now)
		if slow.down {
			err = &Error{
				sentinel:   ErrTooManyRequests,
				message:    "the token is not valid, and too many such have come from this address",
				RetryAfter: slow.reset,
			}
		}
	}
	return token, err
}

// valid returns the token. Returns ErrInvalidToken if it is not valid, and errors of Tokens but
// jobrun.ErrNotFound.
func (a *Authenticator) valid(ctx context.Context, hash jobrun.TokenHash, now time.Time) (*jobrun.Token, error) {
	found, err := a.tokens.Token(ctx, hash)
	switch {
	case errors.Is(err, jobrun.ErrNotFound):
		return nil, &Error{sentinel: ErrInvalidToken, message: "the token is not valid"}
	case err != nil:
		return nil, err
	case expired(&found, now):
		return nil, &Error{sentinel: ErrInvalidToken, message: "the token has expired"}
	}
	return &found, nil
}

// bearerSecret returns the secret that a request carries (RFC 6750, section 2.1).
// Returns ErrUnauthorized if it carries none, or more than one Authorization header.
func bearerSecret(header http.Header) (string, error) {
	if lines := header["Authorization"]; len(lines) == 1 {
		scheme, secret, _ := strings.Cut(lines[0], " ")
		if secret = strings.TrimSpace(secret); strings.EqualFold(scheme, "Bearer") && secret != "" {
			return secret, nil
		}
	}
	return "", &Error{sentinel: ErrUnauthorized, message: `no token: send one header "Authorization: Bearer TOKEN"`}
}

func expired(t *jobrun.Token, now time.Time) bool {
	return t.ExpiresAt != nil && !now.Before(*t.ExpiresAt)
}
