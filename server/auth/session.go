package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobruns/jobruns/server/jobrun"
)

// Session is a request that carries a valid token.
type Session struct {
	Token         *jobrun.Token // not nil, and not to be changed
	entry         *entry
	authenticator *Authenticator
	hash          jobrun.TokenHash
}

// Recheck looks the token up again, before a response that comes long after its request. Returns
// ErrInvalidToken if it is no longer valid, and errors of Tokens but jobrun.ErrNotFound.
func (s *Session) Recheck(ctx context.Context) error {
	_, err := s.authenticator.valid(ctx, s.hash, time.Now())
	return err
}

// The time between two checks of a waiting request's token. A change of a cached token is known
// within 700 ms, because Revisions looks after 500 ms at the next check. Without a cache, each
// check is a look-up.
const (
	recheckInterval  = 200 * time.Millisecond
	uncachedInterval = 4 * recheckInterval
)

// WhileValid returns a context for a request that waits. The context ends within a second after the
// token has been revoked or has expired: then its cause wraps ErrInvalidToken. The function
// releases its resources.
func (s *Session) WhileValid(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var check func()
	check = func() {
		a, now := s.authenticator, time.Now()
		revision, known := a.revisions.Current(ctx)
		if _, token := a.entries.lookUp(s.hash, revision, known); token == nil || expired(token, now) {
			token, err := a.valid(ctx, s.hash, now)
			if err == nil {
				a.entries.accept(s.hash, token, revision, known) // for the token's other requests
			} else if errors.Is(err, ErrInvalidToken) {
				cancel(err)
			} // any other error may pass, and the response comes after another check
		}
		switch {
		case ctx.Err() != nil:
		case known:
			time.AfterFunc(recheckInterval, check)
		default:
			time.AfterFunc(uncachedInterval, check)
		}
	}
	time.AfterFunc(recheckInterval, check)
	return ctx, func() { cancel(nil) }
}

// Count counts a request that reads.
// Returns ErrTooManyRequests if the token has used up its requests.
func (s *Session) Count() error {
	return s.count(&s.entry.window, s.authenticator.limits.Requests, "requests")
}

// reportsPerRun is how many reports on recorded runs a token may send for each new run. A run that
// is renewed every 30 seconds for an hour sends 120.
const reportsPerRun = 200

// AdmitReport counts a report, of a new run or of a recorded run. A conclusion of a recorded run is
// always admitted.
// Returns ErrTooManyRequests if the token has used up its new runs or its reports.
func (s *Session) AdmitReport(isNew, concludes bool) error {
	limit := s.authenticator.limits.NewRuns
	switch {
	case isNew:
		return s.count(&s.entry.runs, limit, "new runs")
	case concludes:
		return nil
	}
	limit.Requests *= reportsPerRun
	return s.count(&s.entry.reports, limit, "reports")
}

func (s *Session) count(w *window, limit RateLimit, what string) error {
	if limit == (RateLimit{}) {
		return nil
	}
	reset, ok := s.entry.take(w, limit, time.Now())
	if ok {
		return nil
	}
	return &Error{
		sentinel:   ErrTooManyRequests,
		message:    fmt.Sprintf("the token %q has used up its %s: %s", s.Token.Name, what, limit),
		RetryAfter: reset,
	}
}

// WriteRateLimit writes the headers of the reference API that show how many requests the token has
// left, or how many new runs if it records. It writes none if there is no limit.
func (s *Session) WriteRateLimit(header http.Header, records bool) {
	w, limit := &s.entry.window, s.authenticator.limits.Requests
	if records {
		w, limit = &s.entry.runs, s.authenticator.limits.NewRuns
	}
	if limit == (RateLimit{}) {
		return
	}
	left, reset := s.entry.left(w, limit, time.Now())
	header.Set("X-Ratelimit-Limit", strconv.Itoa(limit.Requests))
	header.Set("X-Ratelimit-Remaining", strconv.Itoa(left))
	header.Set("X-Ratelimit-Reset", strconv.FormatInt(Seconds(reset), 10))
}

// Authorize checks that the token may do what needs the permission; "" needs none.
// Returns ErrForbidden if it may not.
func (s *Session) Authorize(permission string) error {
	if permission == "" || s.Token.Has(permission) {
		return nil
	}
	return s.forbidden(permission, "")
}

// Team returns the team that a request is about: the one that it names, or else the token's own.
// The permission is the one that the request requires. Returns ErrForbidden if the token may not
// see that team or the project; an empty name is not checked. Returns ErrNoTeam if the request
// names no team and the token has several.
func (s *Session) Team(permission, team, project string) (string, error) {
	t := s.Token
	if team == "" && len(t.Teams) > 1 {
		return "", &Error{
			sentinel: ErrNoTeam,
			message: fmt.Sprintf("the token %q belongs to several teams (%s): name one, with /v1/teams/{teamId}/...",
				t.Name, strings.Join(t.Teams, ", ")),
		}
	}
	if team == "" {
		team = t.Teams[0]
	}
	if !slices.Contains(t.Teams, team) {
		return "", s.forbidden(permission, " in that team")
	}
	if project != "" && len(t.Projects) > 0 && !slices.Contains(t.Projects, project) {
		return "", s.forbidden(permission, " in that project")
	}
	return team, nil
}

// forbidden does not repeat what the request names: the message is logged, and a caller may have
// put a token there.
func (s *Session) forbidden(permission, where string) error {
	return &Error{
		sentinel:   ErrForbidden,
		message:    fmt.Sprintf("the token %q lacks the permission %q%s", s.Token.Name, permission, where),
		Permission: permission,
	}
}

// Seconds rounds a positive time up to whole seconds, after which it is over.
func Seconds(d time.Duration) int64 {
	return int64((d-1)/time.Second) + 1
}
