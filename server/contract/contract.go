// Package contract checks requests against openapi.yaml: parameters, bodies and who may send them. It
// also checks JSON texts against the document's schemas. It prepares the document once, so that a
// check is cheap. It is the only package that imports kin-openapi. It imports neither Echo nor the
// domain.
package contract

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/jobruns/jobruns/gen/spec"
)

// The extensions of OpenAPI that the document uses.
const (
	// permissionExtension names the permission that an operation requires.
	permissionExtension = "x-required-permission"
	// sensitiveExtension says that a token has the permission of an operation only if somebody gives
	// it by its name.
	sensitiveExtension = "x-sensitive"
)

// The path parameters that say whose data an operation is about.
var ownerParameters = []string{"teamId", "projectId"}

// Document is the contract, prepared.
type Document struct {
	doc        *openapi3.T
	operations []*Operation
}

// Operation is an operation of the contract. It is safe for concurrent use.
type Operation struct {
	ID     string
	Method string
	Path   string // as the document writes it: /v1/projects/{projectId}
	// Permission is the one that the operation requires; "" if it requires none.
	Permission string
	// NeedsToken is whether a request must carry a token.
	NeedsToken bool
	sensitive  bool

	route      *routers.Route
	parameters []parameter
	maxBytes   int64 // the maximum size of the body; 0 if the operation takes none
}

// Load prepares the document that is built in, once: nobody changes what it returns.
// Returns errors as Prepare does, and one if the document cannot be read.
var Load = sync.OnceValues(func() (*Document, error) {
	doc, err := spec.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	return Prepare(doc)
})

// Prepare prepares a document, and removes its servers.
//
// It returns an error that names each operation that this package could not enforce, or that would
// be open by mistake:
//   - its security is neither one bearer token nor none, or its permission is not a string that a token can have;
//   - it is sensitive, and declares no permission;
//   - its path names a team or a project, and it needs no token;
//   - it writes (its method is none of GET, HEAD and OPTIONS), and declares no permission of its own;
//   - it takes a body that is not JSON, or declares no response 413 and 415.
func Prepare(doc *openapi3.T) (*Document, error) {
	doc.Servers = nil // kin-openapi would check each request's Host header against them
	d := &Document{doc: doc}
	var problems []error
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			prepared, err := d.prepare(
				&routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
			)
			if err != nil {
				problems = append(problems, fmt.Errorf("operation %s, %s %s: %w", op.OperationID, method, path, err))
				continue
			}
			d.operations = append(d.operations, prepared)
		}
	}
	slices.SortFunc(d.operations, func(a, b *Operation) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return d, errors.Join(problems...)
}

func (d *Document) prepare(route *routers.Route) (*Operation, error) {
	op := route.Operation
	o := &Operation{ID: op.OperationID, Method: route.Method, Path: route.Path, route: route}
	var err error
	if o.NeedsToken, err = needsToken(d.doc, op); err != nil {
		return nil, err
	}
	if o.Permission, err = permission(op, o.NeedsToken); err != nil {
		return nil, err
	}
	if o.sensitive, err = sensitive(op, o.Permission); err != nil {
		return nil, err
	}
	if o.writes() && o.Permission == "" {
		return nil, fmt.Errorf("it writes, and declares no %s", permissionExtension)
	}
	declared := slices.Concat(route.PathItem.Parameters, op.Parameters) // those of the operation count more
	for i, ref := range declared {
		p := ref.Value
		if p.In == openapi3.ParameterInPath && slices.Contains(ownerParameters, p.Name) && !o.NeedsToken {
			return nil, fmt.Errorf("its path has the parameter %s, and it needs no token", p.Name)
		}
		overridden := slices.ContainsFunc(declared[i+1:], func(other *openapi3.ParameterRef) bool {
			return other.Value.In == p.In && other.Value.Name == p.Name
		})
		if !overridden {
			o.parameters = append(o.parameters, prepareParameter(p))
		}
	}
	if o.maxBytes, err = prepareBody(op); err != nil {
		return nil, err
	}
	return o, nil
}

// writes reports whether the operation may change something (RFC 9110, section 9.2.1).
func (o *Operation) writes() bool {
	return !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, o.Method)
}

// permission returns the one that the operation requires; "" if it requires none.
func permission(op *openapi3.Operation, needsToken bool) (string, error) {
	value, declared := op.Extensions[permissionExtension]
	permission, ok := value.(string)
	switch {
	case declared && (!ok || permission == ""):
		return "", fmt.Errorf("%s is not the name of a permission: %v", permissionExtension, value)
	case declared && !needsToken:
		return "", fmt.Errorf("%s without a token to have it", permissionExtension)
	}
	return permission, nil
}

// sensitive reports whether the document says that the operation is sensitive.
func sensitive(op *openapi3.Operation, permission string) (bool, error) {
	value, declared := op.Extensions[sensitiveExtension]
	sensitive, ok := value.(bool)
	switch {
	case declared && !ok:
		return false, fmt.Errorf("%s is neither true nor false: %v", sensitiveExtension, value)
	case sensitive && permission == "":
		return false, fmt.Errorf("%s without %s", sensitiveExtension, permissionExtension)
	}
	return sensitive, nil
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
			if scheme := doc.Components.SecuritySchemes[name]; scheme != nil && scheme.Value.Type == "http" &&
				scheme.Value.Scheme == "bearer" {
				return true, nil
			}
		}
	}
	return false, errors.New("security is neither one bearer token nor none")
}

// Operations returns all operations, by path and method.
func (d *Document) Operations() []*Operation { return d.operations }

// Permissions returns every permission that an operation requires, sorted.
func (d *Document) Permissions() []string {
	return d.permissions(func(*Operation) bool { return true })
}

// ReadPermissions returns the permissions that let a token do no more than read, and nothing that
// is sensitive, sorted.
func (d *Document) ReadPermissions() []string {
	others := d.permissions(func(o *Operation) bool { return o.writes() || o.sensitive })
	return slices.DeleteFunc(d.Permissions(), func(p string) bool { return slices.Contains(others, p) })
}

// WritePermissions returns the permissions of operations that write, sorted.
func (d *Document) WritePermissions() []string { return d.permissions((*Operation).writes) }

func (d *Document) permissions(of func(*Operation) bool) []string {
	var all []string
	for _, o := range d.operations {
		if o.Permission != "" && of(o) {
			all = append(all, o.Permission)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
