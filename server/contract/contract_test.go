package contract

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// written returns a document with the paths, which are written as in openapi.yaml.
func written(t testing.TB, paths string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(`
openapi: 3.0.3
info: {title: test, version: 1.0.0}
security: [{bearer: []}]
components:
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    other: {type: apiKey, in: header, name: X}
paths:
` + paths))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operationOf returns the only operation of the paths.
func operationOf(t testing.TB, paths string) *Operation {
	t.Helper()
	d, err := Prepare(written(t, paths))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Operations()) != 1 {
		t.Fatalf("%d operations", len(d.Operations()))
	}
	return d.Operations()[0]
}

func TestPrepareRefusesWhatItCannotEnforce(t *testing.T) {
	for name, test := range map[string]struct{ operation, says string }{
		"no problem":                        {"get: {operationId: a, responses: {default: {description: d}}}", ""},
		"another security":                  {"get: {operationId: a, security: [{other: []}], responses: {default: {description: d}}}", "neither one bearer token nor none"},
		"two securities":                    {"get: {operationId: a, security: [{bearer: []}, {other: []}], responses: {default: {description: d}}}", "neither one bearer token nor none"},
		"optional security":                 {"get: {operationId: a, security: [{}, {bearer: []}], responses: {default: {description: d}}}", "neither one bearer token nor none"},
		"a permission that is a list":       {"get: {operationId: a, x-required-permission: [A], responses: {default: {description: d}}}", "x-required-permission"},
		"a permission that is null":         {"get: {operationId: a, x-required-permission: null, responses: {default: {description: d}}}", "x-required-permission"},
		"an empty permission":               {"get: {operationId: a, x-required-permission: '', responses: {default: {description: d}}}", "x-required-permission"},
		"a permission nobody has":           {"get: {operationId: a, x-required-permission: A, security: [], responses: {default: {description: d}}}", "without a token"},
		"writing without a permission":      {"delete: {operationId: a, responses: {default: {description: d}}}", "declares no x-required-permission"},
		"writing without a token":           {"put: {operationId: a, security: [], responses: {default: {description: d}}}", "declares no x-required-permission"},
		"a body":                            {"post: {operationId: a, x-required-permission: A, requestBody: {content: {application/json: {schema: {type: object}}}}, responses: {default: {description: d}}}", "it takes a body"},
		"sensitive, and for every token":    {"get: {operationId: a, x-sensitive: true, responses: {default: {description: d}}}", "x-sensitive without x-required-permission"},
		"sensitive in a word":               {"get: {operationId: a, x-required-permission: A, x-sensitive: very, responses: {default: {description: d}}}", "x-sensitive"},
		"a project open to everybody":       {"get: {operationId: a, security: [], parameters: [{name: projectId, in: path, required: true, schema: {type: string}}], responses: {default: {description: d}}}", "needs no token"},
		"a team open to everybody, by path": {"get: {operationId: a, security: [], responses: {default: {description: d}}}\n    parameters: [{name: teamId, in: path, required: true, schema: {type: string}}]", "needs no token"},
	} {
		d, err := Prepare(written(t, "  /a/{projectId}/{teamId}:\n    "+test.operation))
		switch {
		case test.says == "" && (err != nil || len(d.Operations()) != 1):
			t.Errorf("%s: %v", name, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "operation a, ")):
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}

func TestReadPermissionsLetNobodyWrite(t *testing.T) {
	d, err := Prepare(written(t, `
  /a:
    get: {operationId: a, x-required-permission: Read, responses: {default: {description: d}}}
    post: {operationId: b, x-required-permission: Write, responses: {default: {description: d}}}
  /b:
    get: {operationId: c, x-required-permission: Both, responses: {default: {description: d}}}
    delete: {operationId: d, x-required-permission: Both, responses: {default: {description: d}}}
  /c:
    get: {operationId: e, x-required-permission: Again, responses: {default: {description: d}}}
    put: {operationId: f, x-required-permission: Write, responses: {default: {description: d}}}
  /d:
    get: {operationId: g, responses: {default: {description: d}}}
  /e:
    get: {operationId: h, x-required-permission: Secret, x-sensitive: true, responses: {default: {description: d}}}
  /f:
    get: {operationId: i, x-required-permission: Secret, responses: {default: {description: d}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Permissions(), []string{"Again", "Both", "Read", "Secret", "Write"}; !slices.Equal(got, want) {
		t.Errorf("permissions %q, want %q", got, want)
	}
	if got, want := d.ReadPermissions(), []string{"Again", "Read"}; !slices.Equal(got, want) {
		t.Errorf("permissions to read %q, want %q", got, want)
	}
}
