package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"
)

// operation enforces what the document says of one operation: its security first, then the permission that it
// requires, then its parameters, then the team and the project that its path names. All of that comes before any
// look-up of a run, so that no answer reveals what the token may not see.
type operation struct {
	route      *routers.Route
	permission string // "" where the document requires none
	*authentication
}

// The path parameters by which an operation says whose data it is about.
const (
	teamParameter    = "teamId"
	projectParameter = "projectId"
)

// permissionExtension names the permission that an operation requires, in the document.
const permissionExtension = "x-required-permission"

// requiredPermission returns "" where the document requires none.
func requiredPermission(op *openapi3.Operation) (string, error) {
	value, declared := op.Extensions[permissionExtension]
	permission, ok := value.(string)
	if declared && (!ok || permission == "") {
		return "", fmt.Errorf("operation %s: %s is not the name of a permission: %v", op.OperationID, permissionExtension, value)
	}
	if declared && op.Security != nil && len(*op.Security) == 0 {
		return "", fmt.Errorf("operation %s: %s without a token to have it", op.OperationID, permissionExtension)
	}
	return permission, nil
}

// Permissions returns every permission that an operation of the document requires, sorted.
func Permissions(doc *openapi3.T) []string {
	var all []string
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if p, _ := requiredPermission(op); p != "" {
				all = append(all, p)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// access is what the checks found out about a request, for the handler and the log.
type access struct {
	operation string // the operationId
	token     Token  // the zero value until the token is accepted
	team      string // "" for an operation that is about no team's data
	host      string // what the caller calls this server: anything
	tls       bool
}

type accessKey struct{}

// accessOf returns the zero value for a request that no operation has taken.
func accessOf(ctx context.Context) access {
	if a, ok := ctx.Value(accessKey{}).(*access); ok {
		return *a
	}
	return access{}
}

// middleware lets only requests through that the document allows.
func (o *operation) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		parameters, err := pathParameters(c)
		if err != nil {
			return err
		}
		found := &access{operation: o.route.Operation.OperationID, host: c.Request().Host, tls: c.Request().TLS != nil}
		request := c.Request().WithContext(context.WithValue(c.Request().Context(), accessKey{}, found))
		if o.route.Operation.RequestBody == nil {
			// kin-openapi would read it into memory, before the token is looked at.
			request.Body = http.NoBody
		}
		o.joinHeaders(request.Header)
		c.SetRequest(request)
		err = openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
			Request:    request,
			PathParams: parameters,
			Route:      o.route,
			Options: &openapi3filter.Options{
				AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) (err error) {
					if found.token, err = o.authenticate(c); err != nil {
						return err
					}
					return found.token.authorize(o.permission)
				},
			},
		})
		if rule := (*openapi3filter.RequestError)(nil); errors.As(err, &rule) {
			return broken(rule)
		}
		if err != nil {
			return err
		}
		team, project := parameters[teamParameter], parameters[projectParameter]
		if team != "" || project != "" {
			if found.team, err = found.token.team(o.permission, team, project); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// joinHeaders makes one line of several of the same header, as they are one list (RFC 9110, section 5.3): the generated
// code takes only one.
func (o *operation) joinHeaders(headers http.Header) {
	for _, parameter := range o.route.Operation.Parameters {
		name := parameter.Value.Name
		if lines := headers.Values(name); parameter.Value.In == openapi3.ParameterInHeader && len(lines) > 1 {
			headers.Set(name, strings.Join(lines, ", "))
		}
	}
}

// pathParameters returns the request's path parameters unescaped: Echo leaves them as they are where the path holds an
// escape that it need not hold.
// Returns ErrNotFound where the path cannot be unescaped.
func pathParameters(c echo.Context) (map[string]string, error) {
	parameters := make(map[string]string, len(c.ParamNames()))
	for i, name := range c.ParamNames() {
		value := c.ParamValues()[i]
		if c.Request().URL.RawPath != "" {
			var err error
			if value, err = url.PathUnescape(value); err != nil {
				return nil, ErrNotFound
			}
		}
		parameters[name] = value
	}
	return parameters, nil
}
