package server

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/jobruns/jobruns/server/auth"
	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/jobruns/jobruns/server/listen"
)

// exchange holds the facts about a request. The middleware writes each fact once; the log, the
// metrics, the error object and the handlers read them.
type exchange struct {
	id        string
	begin     time.Time
	request   *http.Request
	remote    string        // the address of the caller
	operation *operation    // nil until a route takes the request
	session   *auth.Session // nil until a token is accepted
	subject   jobrun.Key    // the team, project, job and run of the request, once all checks have passed
	prefers   bool          // whether the caller sent a valid wait preference
	wait      time.Duration // the time that the caller prefers to wait
	waited    time.Duration // the time that the response waited for a run to conclude
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request from its context.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// startExchange gives the request an exchange with a new ID. An ID that the caller sends could be
// anything, even a token, and it would appear in the log.
func startExchange(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := &exchange{id: uuid.NewString(), begin: time.Now(), remote: c.RealIP()}
		r := c.Request()
		x.request = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		c.SetRequest(x.request)
		header := c.Response().Header()
		header.Set(echo.HeaderXRequestID, x.id)
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		// A shared cache must not keep a response to a token. Cacheable responses override this.
		header.Set(echo.HeaderCacheControl, "private, no-store")
		if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
			// A proxy may disagree with net/http about the end of the body, and then takes the rest
			// of the body for the next request (RFC 9112, section 11.2). See checkBody.
			header.Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}

// operation enforces what the document says of one operation, before any look-up of a run, so that
// no response reveals what the token may not see.
type operation struct {
	*contract.Operation
	observer
	authenticator *auth.Authenticator
}

// The path parameters that name the subject of a request.
const (
	teamParameter    = "teamId"
	projectParameter = "projectId"
	jobParameter     = "jobId"
	runParameter     = "runId"
)

// middleware checks the token, the rate limit, the permission, the parameters, the team and the
// project, and the body, in this order, before it calls the handler.
func (o *operation) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		x := exchangeOf(ctx)
		x.operation = o
		span := trace.SpanFromContext(ctx)
		span.SetName(c.Request().Method + " " + c.Path())
		span.SetAttributes(semconv.HTTPRoute(c.Path()))
		if o.NeedsToken {
			if err := o.checkToken(c, x); err != nil {
				return err
			}
		}
		path, err := newPathValues(c)
		if err != nil {
			return err
		}
		if err := o.CheckParameters(c.Request(), path.get); err != nil {
			return err
		}
		if err := o.setSubject(x, path); err != nil {
			return err
		}
		if o.HasBody() {
			if err := o.checkBody(c); err != nil {
				return err
			}
		}
		if x.wait, x.prefers = preferredWait(c.Request().Header.Get("Prefer")); x.prefers {
			listen.ExtendWriteDeadline(c.Response(), x.wait)
		}
		return next(c)
	}
}

// checkToken authenticates, counts and authorizes the request. The rate-limit headers of a response
// to a valid token show the state at the time of writing.
func (o *operation) checkToken(c echo.Context, x *exchange) error {
	r, w := c.Request(), c.Response()
	w.Header().Set(echo.HeaderVary, echo.HeaderAuthorization)
	session, err := o.authenticator.Authenticate(r.Context(), r.Header, x.remote)
	if err != nil {
		return err
	}
	x.session = session
	records := o.HasBody()
	w.Before(func() { session.WriteRateLimit(w.Header(), records) })
	if !records { // the handler counts reports
		if err := session.Count(); err != nil {
			return err
		}
	}
	return session.Authorize(o.Permission)
}

// bodyTimeout is the time for reading a body.
const bodyTimeout = 30 * time.Second

// checkBody reads and validates the body. The connection stays open after a body with a
// Content-Length.
func (o *operation) checkBody(c echo.Context) error {
	r, w := c.Request(), c.Response()
	listen.ExtendReadDeadline(w, bodyTimeout)
	listen.ExtendWriteDeadline(w, bodyTimeout)
	if err := o.ReadBody(w, r); err != nil {
		return err
	}
	if len(r.TransferEncoding) == 0 {
		w.Header().Del(echo.HeaderConnection)
	}
	return nil
}

// setSubject checks that the token may see the team and the project that the path names. An
// operation that needs a permission concerns a team even if the path does not name one.
func (o *operation) setSubject(x *exchange, path pathValues) (err error) {
	key := jobrun.Key{
		Team:    path.get(teamParameter),
		Project: path.get(projectParameter),
		Job:     path.get(jobParameter),
		Run:     path.get(runParameter),
	}
	if key.Team != "" || key.Project != "" || o.Permission != "" {
		if key.Team, err = x.session.Team(o.Permission, key.Team, key.Project); err != nil {
			return err
		}
	}
	x.subject = key
	return nil
}

// maxWait is the longest wait of a response: less than the 60 seconds after which proxies such as
// nginx time out.
const maxWait = 55 * time.Second

// waitPreference is the first well-formed "wait" preference in a Prefer header. Other preferences may
// have commas in quoted strings.
var waitPreference = regexp.MustCompile(
	`(?i)^(?:(?:[^",]|"(?:[^"\\]|\\.)*")*,)*?[ \t]*wait[ \t]*=[ \t]*(?:(\d+)|"(\d+)")[ \t]*(?:[;,]|$)`)

// preferredWait returns the time of the "wait" preference in a Prefer header (RFC 7240, sections 2 and
// 4.3), at most maxWait, and false if there is none.
func preferredWait(prefer string) (time.Duration, bool) {
	found := waitPreference.FindStringSubmatch(prefer)
	if found == nil {
		return 0, false
	}
	seconds, err := strconv.ParseInt(found[1]+found[2], 10, 64)
	if longest := int64(maxWait / time.Second); err != nil || seconds > longest {
		seconds = longest // the number does not fit into 64 bits
	}
	return time.Duration(seconds) * time.Second, true
}
