package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobruns/jobruns/gen/model"
	"github.com/jobruns/jobruns/server/jobrun"
)

// Tokens is where the server looks tokens up.
type Tokens interface {
	// Token returns the token with that hash, expired or not.
	// Returns ErrNotFound if there is none.
	// Returns ErrUnavailable if the store cannot be reached.
	Token(ctx context.Context, hash jobrun.TokenHash) (jobrun.Token, error)
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

func expired(t *jobrun.Token, now time.Time) bool {
	return t.ExpiresAt != nil && !now.Before(*t.ExpiresAt)
}

// authorize checks that the token may do what needs the permission; "" needs none.
// Returns ErrForbidden if it may not.
func authorize(t *jobrun.Token, permission string) error {
	if permission == "" || slices.Contains(t.Permissions, permission) {
		return nil
	}
	return forbidden(t, permission, "")
}

// teamOf returns the team that a request is about: the one that it names, or else the token's own.
// Returns ErrForbidden if the token may not see that team or the project; an empty name is not checked.
// Returns ErrBadRequest if the request names no team and the token has several.
func teamOf(t *jobrun.Token, permission, team, project string) (string, error) {
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
		return "", forbidden(t, permission, " in that team")
	}
	if project != "" && len(t.Projects) > 0 && !slices.Contains(t.Projects, project) {
		return "", forbidden(t, permission, " in that project")
	}
	return team, nil
}

// forbidden does not repeat what the request names: the message is logged, and a caller may have put a token there.
func forbidden(t *jobrun.Token, permission, where string) error {
	return &problem{
		error:   ErrForbidden,
		message: fmt.Sprintf("the token %q lacks the permission %q%s", t.Name, permission, where),
		details: model.ErrorDetails{Permission: permission},
	}
}
