// Package stored has what a store holds: runs and tokens. Those who record and those who keep need no more of the server
// than this.
package stored

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/jobruns/jobruns/gen/model"
)

// The errors of a store that whoever reads it has to tell from others.
var (
	// ErrNotFound means that what was asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable means that the store cannot be reached for now.
	ErrUnavailable = errors.New("the store cannot be reached")
)

// DefaultTeam is the team where nobody named one.
const DefaultTeam = "default"

// RunKey says which run is meant, as the paths of the contract do. All four parts have the form of the contract's ID.
type RunKey struct {
	Team, Project, Job, Run string
}

// Record is a run and whose it is: what a recorder writes.
type Record struct {
	Team, Project, Job string
	Run                model.JobRun
	// Leased says that the recorder vouches for the run until it has concluded, by storing it again every few seconds.
	// When it stops doing so, it has died, and the run has failed.
	Leased bool
	// Source names where the run was observed, such as a cluster, and Version orders what was observed there: a later
	// observation has a higher one. A store lets no observation take the place of a later one, nor one of a run that goes
	// on the place of a conclusion. Source is "" for a recorder that knows the run for certain, which is always stored.
	Source  string
	Version int64
}

// Line is the form of a line of JSON that jobrund import reads. The team is DefaultTeam where there is none.
type Line struct {
	TeamID    string       `json:"teamId"`
	ProjectID string       `json:"projectId"`
	JobID     string       `json:"jobId"`
	Run       model.JobRun `json:"run"`
}

// MarshalLine returns the line, without its end, from which the record is read again.
func (r Record) MarshalLine() ([]byte, error) {
	return json.Marshal(Line{TeamID: r.Team, ProjectID: r.Project, JobID: r.Job, Run: r.Run})
}

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
