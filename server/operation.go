package server

import (
	"github.com/labstack/echo/v4"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
)

// operation enforces what the document says of one operation, before any look-up of a run, so that
// no response reveals what the token may not see.
type operation struct {
	*contract.Operation
	observer
	authenticator *auth.Authenticator
	checks        []check
}

// check looks at a request before the handler sees it. Its error becomes the response.
type check func(echo.Context, *exchange) error

// The path parameters by which an operation says whose data it is about.
const (
	teamParameter    = "teamId"
	projectParameter = "projectId"
	jobParameter     = "jobId"
	runParameter     = "runId"
)

func newOperation(op *contract.Operation, observer observer, authenticator *auth.Authenticator) *operation {
	o := &operation{Operation: op, observer: observer, authenticator: authenticator}
	o.checks = append(o.checks, o.checkToken, o.checkPermission, o.checkParameters, o.checkTeam, o.checkBody)
	return o
}

// middleware has a request pass all checks, in their order, and then checks the response.
func (o *operation) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		x := exchangeOf(ctx)
		x.operation = o
		span := trace.SpanFromContext(ctx)
		span.SetName(c.Request().Method + " " + c.Path())
		span.SetAttributes(semconv.HTTPRoute(c.Path()))
		for _, check := range o.checks {
			if err := check(c, x); err != nil {
				return err
			}
		}
		x.valid = true
		return o.respond(c, x, next)
	}
}

// checkToken checks the token and counts the request. Each response to a valid token says how many
// requests are left by the time it is written.
func (o *operation) checkToken(c echo.Context, x *exchange) error {
	if !o.NeedsToken {
		return nil
	}
	r, w := c.Request(), c.Response()
	w.Header().Set(echo.HeaderVary, echo.HeaderAuthorization)
	session, err := o.authenticator.Authenticate(r.Context(), r.Header, x.remote)
	if err != nil {
		return err
	}
	x.session = session
	w.Before(func() { session.WriteRateLimit(w.Header()) })
	return session.Count()
}

func (o *operation) checkPermission(_ echo.Context, x *exchange) error {
	if !o.NeedsToken {
		return nil
	}
	return x.session.Authorize(o.Permission)
}

func (o *operation) checkParameters(c echo.Context, x *exchange) error {
	var err error
	if x.path, err = newPathValues(c); err != nil {
		return err
	}
	return o.CheckParameters(c.Request(), x.path.get)
}

// checkTeam checks that the token may see the team and the project that the path names. What needs
// a permission is about a team, even if the path names neither.
func (o *operation) checkTeam(_ echo.Context, x *exchange) (err error) {
	team, project := x.path.get(teamParameter), x.path.get(projectParameter)
	if team != "" || project != "" || o.Permission != "" {
		x.team, err = x.session.Team(o.Permission, team, project)
	}
	return err
}

// checkBody reads the body into bounded memory, and checks it.
func (o *operation) checkBody(c echo.Context, _ *exchange) error {
	if !o.HasBody() {
		return nil
	}
	return o.ReadBody(c.Request())
}
