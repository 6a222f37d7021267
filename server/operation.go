package server

import (
	"github.com/labstack/echo/v4"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
)

// operation enforces what the document says of one operation, before any look-up of a run, so that no response reveals
// what the token may not see.
type operation struct {
	*contract.Operation
	observer
	authenticator *auth.Authenticator
}

// The path parameters by which an operation says whose data it is about.
const (
	teamParameter    = "teamId"
	projectParameter = "projectId"
)

// middleware returns what a request of the operation passes, in this order.
func (o *operation) middleware() []echo.MiddlewareFunc {
	chain := []echo.MiddlewareFunc{o.take}
	if o.NeedsToken {
		chain = append(chain, o.authenticate)
	}
	chain = append(chain, o.validate)
	if o.HasBody() {
		chain = append(chain, o.readBody)
	}
	return append(chain, o.checkResponse)
}

// take says which operation the request is for, and names its span after the route.
func (o *operation) take(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		exchangeOf(ctx).operation = o
		span := trace.SpanFromContext(ctx)
		span.SetName(c.Request().Method + " " + c.Path())
		span.SetAttributes(semconv.HTTPRoute(c.Path()))
		return next(c)
	}
}

// authenticate checks the token, counts the request, and checks the permission. Each response to a valid token says how
// many requests are left by the time it is written.
func (o *operation) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, w := c.Request(), c.Response()
		session, err := o.authenticator.Authenticate(r.Context(), r.Header, c.RealIP())
		if err != nil {
			return err
		}
		exchangeOf(r.Context()).session = session
		w.Before(func() { session.WriteRateLimit(w.Header()) })
		if err := session.Count(); err != nil {
			return err
		}
		if err := session.Authorize(o.Permission); err != nil {
			return err
		}
		return next(c)
	}
}

// validate checks the parameters, and then whether the token may see the team and the project that the path names.
func (o *operation) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		path, err := newPathValues(c)
		if err != nil {
			return err
		}
		if err := o.CheckParameters(c.Request(), path.get); err != nil {
			return err
		}
		team, project := path.get(teamParameter), path.get(projectParameter)
		if team != "" || project != "" {
			x := exchangeOf(c.Request().Context())
			if x.team, err = x.session.Team(o.Permission, team, project); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// readBody reads the body into bounded memory, and checks it.
func (o *operation) readBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := o.ReadBody(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}
