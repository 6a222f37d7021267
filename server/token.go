package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// tokenPrefix lets a person, or a scanner for leaked secrets, see what a token is for.
const tokenPrefix = "jobruns_"

// TokenHash is the SHA-256 of a token's secret: all that is kept of it. A secret has 256 random bits, so that neither
// salt nor a slow hash would add anything.
type TokenHash [sha256.Size]byte

// NewSecret returns the secret of a new token and its hash.
func NewSecret() (string, TokenHash) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	secret := tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, TokenHash(sha256.Sum256([]byte(secret)))
}

// Token says what the bearer of a secret may do.
type Token struct {
	// Name tells tokens apart for people; it is unique in a store.
	Name string
	// Teams are the teams that the token belongs to, at least one.
	Teams []string
	// Projects are those that the token may see; every project of its teams when empty.
	Projects []string
	// Permissions are those that operations of the contract require, as the document spells them.
	Permissions []string
	// CreatedAt is when the token was made, in whole seconds.
	CreatedAt time.Time
	// ExpiresAt is when the token stops being valid, in whole seconds; never when nil.
	ExpiresAt *time.Time
}

// Tokens is where the server looks tokens up.
type Tokens interface {
	// Token returns the token with that hash, expired or not.
	// Returns ErrNotFound if there is none.
	// Returns ErrUnavailable if the store cannot be reached.
	Token(ctx context.Context, hash TokenHash) (Token, error)
}

// bearerSecret returns the secret that a request carries (RFC 6750, section 2.1).
// Returns ErrUnauthorized if it carries none, or more than one Authorization header.
func bearerSecret(r *http.Request) (string, error) {
	headers := r.Header["Authorization"]
	if len(headers) == 1 {
		scheme, secret, _ := strings.Cut(headers[0], " ")
		if secret = strings.TrimSpace(secret); strings.EqualFold(scheme, "Bearer") && secret != "" {
			return secret, nil
		}
	}
	return "", &problem{error: ErrUnauthorized, message: `no token: send one header "Authorization: Bearer TOKEN"`}
}

func (t Token) expired(now time.Time) bool {
	return t.ExpiresAt != nil && !now.Before(*t.ExpiresAt)
}

// authorize checks that the token may do what needs the permission; "" needs none.
// Returns ErrForbidden if it may not.
func (t Token) authorize(permission string) error {
	if permission == "" || slices.Contains(t.Permissions, permission) {
		return nil
	}
	return t.forbidden(permission, "")
}

// team returns the team that a request is about: the one that it names, or else the token's own.
// Returns ErrForbidden if the token may not see that team or the project; an empty name is not checked.
// Returns ErrBadRequest if the request names no team and the token has several.
func (t Token) team(permission, team, project string) (string, error) {
	if team == "" && len(t.Teams) > 1 {
		return "", &problem{
			error: ErrBadRequest,
			message: fmt.Sprintf("the token %q belongs to several teams (%s): name one, with /v1/teams/{teamId}/...",
				t.Name, strings.Join(t.Teams, ", ")),
			details: model.ErrorDetails{Parameter: "teamId", Rule: "required"},
		}
	}
	if team == "" {
		team = t.Teams[0]
	}
	if !slices.Contains(t.Teams, team) {
		return "", t.forbidden(permission, " in that team")
	}
	if project != "" && len(t.Projects) > 0 && !slices.Contains(t.Projects, project) {
		return "", t.forbidden(permission, " in that project")
	}
	return team, nil
}

// forbidden does not repeat what the request names: the message is logged, and a caller may have put a token there.
func (t Token) forbidden(permission, where string) error {
	return &problem{
		error:   ErrForbidden,
		message: fmt.Sprintf("the token %q lacks the permission %q%s", t.Name, permission, where),
		details: model.ErrorDetails{Permission: permission},
	}
}
