package jobrun

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// tokenPrefix lets a person, or a scanner for leaked secrets, see what a token is for.
const tokenPrefix = "jobruns_"

// TokenHash is the SHA-256 of a token's secret: all that a store has of it. A secret has 256 random
// bits, so that neither salt nor a slow hash would add anything.
type TokenHash [sha256.Size]byte

// HashToken returns the hash of a token's secret.
func HashToken(secret string) TokenHash { return sha256.Sum256([]byte(secret)) }

// IsSecret reports whether the text may be the secret of a token, or a part that begins one.
func IsSecret(text string) bool { return strings.HasPrefix(text, tokenPrefix) }

// NewSecret returns the secret of a new token and its hash.
func NewSecret() (string, TokenHash) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	secret := tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, HashToken(secret)
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

// Has reports whether the token has a permission.
func (t *Token) Has(permission string) bool { return slices.Contains(t.Permissions, permission) }
