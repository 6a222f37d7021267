package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/jobruns/jobruns/server/jobrun"
	"github.com/labstack/echo/v4"
)

// operation enforces what the document says of one operation: its security first, then the permission that it
// requires, then its parameters, then the team and the project that its path names. All of that comes before any
// look-up of a run, so that no answer reveals what the token may not see.
type operation struct {
	route      *routers.Route
	secured    bool
	permission string // "" where the document requires none
	parameters parameters
	revision   *revision
	final      *finalAnswers
	observer   observer
	*authentication
}

// The path parameters by which an operation says whose data it is about.
const (
	teamParameter    = "teamId"
	projectParameter = "projectId"
	jobParameter     = "jobId"
	runParameter     = "runId"
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

// middleware lets only requests through that the document allows, and answers those whose answer is kept.
func (o *operation) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		call := c.(*call)
		call.operation = o
		path, err := newPathValues(c)
		if err != nil {
			return err
		}
		if o.secured {
			call.revision = o.revision.current(call.Request().Context(), call.begin)
			if err := o.authenticate(call); err != nil {
				return err
			}
			if err := authorize(call.token, o.permission); err != nil {
				return err
			}
		}
		if kept, err := o.writeKept(call, path); kept {
			return err
		}
		if err := o.checkParameters(call.Request(), path); err != nil {
			return err
		}
		if call.team, err = o.team(call, path); err != nil {
			return err
		}
		request := call.Request()
		call.SetRequest(request.WithContext(context.WithValue(request.Context(), callKey{}, call)))
		return next(call)
	}
}

// team returns the team that the request is about, or "".
// Returns ErrForbidden if the token may not see that team or the project.
// Returns ErrBadRequest if the request names no team and the token has several.
func (o *operation) team(c *call, path pathValues) (string, error) {
	team, project := path.get(teamParameter), path.get(projectParameter)
	if team == "" && project == "" {
		return "", nil
	}
	return teamOf(c.token, o.permission, team, project)
}

// writeKept answers with a run if that answer is kept, and returns false if not. What is kept has a path within the
// contract, for it was answered before, but for an empty team, which counts as that of the token there.
func (o *operation) writeKept(c *call, path pathValues) (bool, error) {
	key := jobrun.Key{Project: path.get(projectParameter), Job: path.get(jobParameter), Run: path.get(runParameter)}
	if key.Run == "" || slices.Contains(path.values, "") || c.revision == nil || !o.parameters.acceptHeaders(c.Request().Header) {
		return false, nil
	}
	var err error
	if key.Team, err = o.team(c, path); err != nil {
		return false, nil // unless something else is wrong first
	}
	return o.final.write(c, key)
}

// needsToken reports whether the document wants a token for the operation.
// Returns an error for a security that is not enforced here: anything but a bearer token.
func needsToken(doc *openapi3.T, op *openapi3.Operation) (bool, error) {
	security := doc.Security
	if op.Security != nil {
		security = *op.Security
	}
	if len(security) == 0 {
		return false, nil
	}
	if len(security) == 1 && len(security[0]) == 1 {
		for name := range security[0] {
			if scheme := doc.Components.SecuritySchemes[name]; scheme != nil && scheme.Value.Type == "http" && scheme.Value.Scheme == "bearer" {
				return true, nil
			}
		}
	}
	return false, fmt.Errorf("operation %s: security is neither one bearer token nor none", op.OperationID)
}
