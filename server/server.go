// Package server answers the contract, openapi.yaml, over HTTP with Echo.
//
// A request passes, in this order: the trace, what every request has in common (see requests), the route, and then what
// the document says of its operation (see operation): security, permission, parameters, team and project. How many
// requests a token may make is part of its security (see authentication). An answer with a run that cannot change any
// more is kept in memory and given from there (see finalAnswers). Only then does the handler look the run up. An answer
// that is to wait for the run's conclusion goes back to requests, which waits. Whatever goes wrong on the way becomes an
// answer in one place, writeError.
//
// # Who may do what
//
// Whoever reaches the port can read the contract, and learns nothing else without a token: not even what exists, for
// that is looked up only after authorization. A token may read the runs of its teams and projects, as far as its
// permissions go, and can change nothing: the API only reads. It is valid until it expires or is revoked, which counts
// within a second. Without TLS, it can be read on its way.
//
// Whoever can write the store can do everything: record, replace and remove the runs of all teams, and create tokens. A
// server needs no more than to read it, except to bring the schema up to date and to remove old runs. Recorders are
// trusted; still, the schema refuses what the contract does not allow. The admin listener asks for no token, and what it
// tells of the process is not for everybody: it belongs on loopback, or behind something that asks.
//
// # What a stolen database gives away
//
// The runs: the names of teams, projects, jobs and runs, and when they ran and how they ended, but nothing of what a
// command is, prints or reads from its environment. The names of tokens and what they may do, but no token: only the
// SHA-256 of its 256 random bits, which can neither be sent in its place nor guessed. SQLite leaves what was removed in
// the file until something else takes the space. A leaked token is revoked; a stolen database is no reason to revoke
// all, unless it could be written, too.
//
// # What a hostile caller can cost
//
// Without a token: a connection, for 5 seconds until a request's headers are complete or 2 minutes between requests, and
// 16 KiB of headers. A body is not read, and ends the connection. A token that does not exist costs a look-up by its
// hash, of which an address has few a minute, so that tokens are not guessed; those that others have used from there go
// on working, so that nobody else is locked out.
//
// With a token: as many look-ups of one run by its key as the rate limit allows, and as many held answers, each up to a
// minute long and a few kilobytes of memory. However many wait, one watch looks at the database. Counting requests and
// keeping answers take fixed amounts of memory. The limits hold for each server process.
//
// What is left is the sheer number of connections: where that matters, put a proxy in front that limits them.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	gen "github.com/jobruns/jobruns/gen/server"
	"github.com/jobruns/jobruns/gen/spec"
)

// Store is what the server needs of a store.
type Store interface {
	Runs
	Tokens
	Revisions
}

// Document returns the contract that is built into the program, for the caller to change.
func Document() (*openapi3.T, error) {
	doc, err := spec.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	// kin-openapi would check each request's Host header against them.
	doc.Servers = nil
	return doc, nil
}

// Options are what a server can be told. The zero value is good for a test.
type Options struct {
	// RateLimit is how many requests each token may make of the handler. The zero value is no limit; how often an address
	// may be wrong about a token is limited all the same.
	RateLimit RateLimit
	// Memory is how many bytes of answers with runs that have concluded are kept, and of the tokens that were seen lately
	// a limited number. Each holds for a second after it was changed or removed. The zero value keeps nothing.
	Memory int
	// Metrics is where the server registers what it counts and measures; nil for nowhere.
	Metrics prometheus.Registerer
	// Traces makes a span of each request and of what the store is asked for it; nil for none.
	Traces trace.TracerProvider
}

// New returns a handler that answers the contract from the store. It logs each request, never a token.
//
// It returns an error when the contract and the routes generated from it do not belong together: an operation without
// a route, a route without an operation, or an operation whose requests nothing would check. And when the options have
// a rate limit that ParseRateLimit would not return.
func New(store Store, log *slog.Logger, options Options) (http.Handler, error) {
	doc, err := Document()
	if err != nil {
		return nil, err
	}
	return newEcho(doc, store, log, options)
}

func newEcho(doc *openapi3.T, store Store, log *slog.Logger, options Options) (*echo.Echo, error) {
	if !options.RateLimit.valid() {
		return nil, fmt.Errorf("the rate limit is %s: less than 1 request, or a window of less than a second", options.RateLimit)
	}
	e := echo.New()
	// The address of the connection: a caller could write anything into X-Forwarded-For.
	e.IPExtractor = echo.ExtractIPDirect()
	metrics := newMetrics(options.Metrics)
	observed := &observedStore{Store: store, metrics: metrics}
	if options.Traces != nil {
		e.Use(traceRequests(options.Traces))
		observed.tracer = options.Traces.Tracer("github.com/jobruns/jobruns/server")
	}
	encoder := newDetailsEncoder(doc)
	all := &requests{store: store, encoder: encoder, log: log, metrics: metrics, others: metrics.observer(log, noOperation), traced: options.Traces != nil}
	e.Use(all.middleware)

	revision := newRevision(nil)
	if options.Memory > 0 {
		revision = newRevision(observed)
	}
	final := newFinalAnswers(options.Memory)
	authentication := newAuthentication(observed, options.RateLimit)
	checks := map[string][]echo.MiddlewareFunc{}
	unserved := map[string]string{} // the operations that have no route, by method and path
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			permission, err := requiredPermission(op)
			if err != nil {
				return nil, err
			}
			secured, err := needsToken(doc, op)
			if err != nil {
				return nil, err
			}
			check := &operation{
				route:          &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				secured:        secured,
				permission:     permission,
				parameters:     prepareParameters(item, op),
				revision:       revision,
				final:          final,
				observer:       metrics.observer(log, op.OperationID, method, http.MethodHead),
				authentication: authentication,
			}
			checks[op.OperationID] = []echo.MiddlewareFunc{check.middleware}
			unserved[method+" "+path] = op.OperationID
		}
	}

	var routes []registration
	e.OnAddRouteHandler = func(_ string, route echo.Route, h echo.HandlerFunc, m []echo.MiddlewareFunc) {
		routes = append(routes, registration{route.Method, route.Path, h, m})
	}
	strict := gen.NewStrictHandler(&handler{observed, final, encoder}, []gen.StrictMiddlewareFunc{holdBack})
	gen.RegisterHandlersWithOptions(e, strict, gen.RegisterHandlersOptions{OperationMiddlewares: checks})
	e.OnAddRouteHandler = nil

	var problems []error
	allowed := methods{}
	for _, route := range routes {
		id, documented := unserved[route.documented()]
		delete(unserved, route.documented())
		switch {
		case !documented:
			problems = append(problems, fmt.Errorf("the route %s is not in the document", route.documented()))
		case len(route.middleware) == 0:
			problems = append(problems, fmt.Errorf("nothing checks the requests of operation %q, %s: the generated code knows it by another name",
				id, route.documented()))
		}
		allowed[route.path] = append(allowed[route.path], route.method)
		if route.method == http.MethodGet {
			// RFC 9110, section 9.3.2: HEAD is answered as GET is, without the body.
			e.HEAD(route.path, route.handler, route.middleware...)
			allowed[route.path] = append(allowed[route.path], http.MethodHead)
		}
	}
	for path := range allowed {
		// Without this, a path's last parameter would take in all that follows it, slashes and all.
		e.RouteNotFound(path+"/*", allowed.other)
	}
	for _, route := range slices.Sorted(maps.Keys(unserved)) {
		problems = append(problems, fmt.Errorf("operation %q of the document, %s, has no route", unserved[route], route))
	}
	problems = append(problems, serveAssets(e))
	return e, errors.Join(problems...)
}

// methods are those of each path, as Echo writes paths.
type methods map[string][]string

// other answers what no route takes. It may be a path below another, with a method that it does not know.
func (m methods) other(c echo.Context) error {
	segments := strings.Split(echo.GetPath(c.Request()), "/")
	same := func(want, got string) bool { return want == got || strings.HasPrefix(want, ":") && got != "" }
	for path, known := range m {
		if !slices.EqualFunc(strings.Split(path, "/"), segments, same) {
			continue
		}
		c.Response().Header().Set(echo.HeaderAllow, strings.Join(append([]string{http.MethodOptions}, known...), ", "))
		if c.Request().Method == http.MethodOptions {
			return c.NoContent(http.StatusNoContent)
		}
		return echo.ErrMethodNotAllowed
	}
	return echo.ErrNotFound
}

// registration is a route as the generated code registers it.
type registration struct {
	method, path string
	handler      echo.HandlerFunc
	middleware   []echo.MiddlewareFunc
}

var echoParameter = regexp.MustCompile(`:([^/]+)`)

// documented returns the method and the path as the document writes them.
func (r registration) documented() string {
	return r.method + " " + echoParameter.ReplaceAllString(r.path, "{$1}")
}
