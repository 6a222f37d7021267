package server

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns/server/contract"
	"github.com/jobruns/jobruns/server/jobrun"
)

// routes holds the routes that the generated code registers against the operations of the document.
type routes struct {
	registered []registration
	operations map[string]string // the ids of those without a route, by method and path
}

// registration is a route as the generated code registers it.
type registration struct {
	method, path string
	handler      echo.HandlerFunc
	middleware   []echo.MiddlewareFunc
}

func newRoutes(document *contract.Document) *routes {
	r := &routes{operations: map[string]string{}}
	for _, op := range document.Operations() {
		r.operations[op.Method+" "+op.Path] = op.ID
	}
	return r
}

// add takes a route that has been registered: it is the OnAddRouteHandler of an Echo.
func (r *routes) add(_ string, route echo.Route, handler echo.HandlerFunc, middleware []echo.MiddlewareFunc) {
	r.registered = append(r.registered, registration{route.Method, route.Path, handler, middleware})
}

// complete adds what the generated code lacks: HEAD, and responses to other methods and paths.
// Returns an error for each route that is not in the document, or that nothing checks, and for each
// operation that has no route.
func (r *routes) complete(e *echo.Echo) error {
	var problems []error
	allowed := methods{}
	for _, route := range r.registered {
		documented := route.documented()
		id, found := r.operations[documented]
		delete(r.operations, documented)
		switch {
		case !found:
			problems = append(problems, fmt.Errorf("the route %s is not in the document", documented))
		case len(route.middleware) == 0:
			problems = append(
				problems,
				fmt.Errorf(
					"nothing checks the requests of operation %q, %s: the generated code knows it by another name",
					id,
					documented,
				),
			)
		}
		allowed[route.path] = append(allowed[route.path], route.method)
		if route.method == http.MethodGet {
			// RFC 9110, section 9.3.2: the response to HEAD is that to GET, without the body.
			e.HEAD(route.path, route.handler, route.middleware...)
			allowed[route.path] = append(allowed[route.path], http.MethodHead)
		}
	}
	for path := range allowed {
		// Without this, a path's last parameter would take in all that follows it, slashes and all.
		e.RouteNotFound(path+"/*", allowed.other)
	}
	for _, documented := range slices.Sorted(maps.Keys(r.operations)) {
		problems = append(
			problems,
			fmt.Errorf("operation %q of the document, %s, has no route", r.operations[documented], documented),
		)
	}
	return errors.Join(problems...)
}

// methods are those of each path, as Echo writes paths.
type methods map[string][]string

// other responds to what no route takes. It may be a path below another, with a method that this
// does not know.
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

var echoParameter = regexp.MustCompile(`:([^/]+)`)

// documented returns the method and the path as the document writes them.
func (r registration) documented() string {
	return r.method + " " + echoParameter.ReplaceAllString(r.path, "{$1}")
}

// pathValues are a request's path parameters.
type pathValues struct{ names, values []string }

// newPathValues returns the request's path parameters unescaped: Echo leaves them as they are if
// the path has an escape that it need not have. Returns jobrun.ErrNotFound if the path cannot be
// unescaped.
func newPathValues(c echo.Context) (pathValues, error) {
	p := pathValues{c.ParamNames(), c.ParamValues()}
	if c.Request().URL.RawPath == "" {
		return p, nil
	}
	p.values = slices.Clone(p.values)
	for i := range p.names {
		var err error
		if p.values[i], err = url.PathUnescape(p.values[i]); err != nil {
			return pathValues{}, jobrun.ErrNotFound
		}
	}
	return p, nil
}

// get returns "" for a parameter that the path does not have.
func (p pathValues) get(name string) string {
	if i := slices.Index(p.names, name); i >= 0 {
		return p.values[i]
	}
	return ""
}
