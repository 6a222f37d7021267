package server

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/gen/spec"
)

const runPathItem = "/v1/projects/{projectId}/jobs/{jobId}/runs/{runId}"

// changed returns the contract after the change, which is this test's alone.
func changed(t *testing.T, change func(*openapi3.T)) *openapi3.T {
	t.Helper()
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	change(doc)
	return doc
}

func getJobRun(doc *openapi3.T) *openapi3.Operation { return doc.Paths.Value(runPathItem).Get }

func TestRefusesToStart(t *testing.T) {
	other := func(id string) *openapi3.Operation {
		return &openapi3.Operation{OperationID: id, Responses: openapi3.NewResponses()}
	}
	writing := func(op *openapi3.Operation) *openapi3.Operation {
		op.Extensions = map[string]any{"x-required-permission": "A > B"}
		return op
	}
	tests := []struct {
		name   string
		change func(*openapi3.T)
		want   []string // what the error says
	}{
		{
			name:   "an operation on a new path",
			change: func(doc *openapi3.T) { doc.Paths.Set("/v1/new", &openapi3.PathItem{Get: other("getNew")}) },
			want:   []string{`"getNew"`, "GET /v1/new", "has no route"},
		},
		{
			name:   "an operation with a new method",
			change: func(doc *openapi3.T) { doc.Paths.Value("/v1/login").Post = writing(other("logInAgain")) },
			want:   []string{`"logInAgain"`, "POST /v1/login", "has no route"},
		},
		{
			name:   "a path removed",
			change: func(doc *openapi3.T) { doc.Paths.Delete("/v1/login") },
			want:   []string{"GET /v1/login", "is not in the document"},
		},
		{
			name:   "an operation removed",
			change: func(doc *openapi3.T) { doc.Paths.Value(runPathItem).Get = nil },
			want:   []string{"GET " + runPathItem, "is not in the document"},
		},
		{
			name: "a method changed",
			change: func(doc *openapi3.T) {
				login := doc.Paths.Value("/v1/login")
				login.Get, login.Put = nil, writing(login.Get)
			},
			want: []string{"GET /v1/login", "is not in the document", `"login"`, "PUT /v1/login", "has no route"},
		},
		{
			name: "a parameter renamed",
			change: func(doc *openapi3.T) {
				item := doc.Paths.Value(runPathItem)
				doc.Paths.Delete(runPathItem)
				doc.Paths.Set(strings.Replace(runPathItem, "{runId}", "{id}", 1), item)
			},
			want: []string{"GET " + runPathItem, "is not in the document", `"getJobRun"`, "has no route"},
		},
		{
			name:   "an operationId in another case",
			change: func(doc *openapi3.T) { getJobRun(doc).OperationID = "GetJobRun" },
			want:   []string{`"GetJobRun"`, "GET " + runPathItem, "nothing checks"},
		},
		{
			name:   "an operationId missing",
			change: func(doc *openapi3.T) { getJobRun(doc).OperationID = "" },
			want:   []string{`""`, "GET " + runPathItem, "nothing checks"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewFrom(changed(t, test.change), nil, slog.New(slog.NewTextHandler(io.Discard, nil)), Options{})
			if err == nil {
				t.Fatal("it starts")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %s: %v", want, err)
				}
			}
		})
	}
}
