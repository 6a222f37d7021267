package e2e

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/jobruns/jobruns"
)

// contractOf returns openapi.yaml as a caller would read it.
func contractOf(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(jobruns.Document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// obeys returns an error unless the contract allows the response, whose body has been read, to a
// request for the path of an operation.
func obeys(doc *openapi3.T, path, method string, response *http.Response, body []byte) error {
	item := doc.Paths.Value(path)
	request, err := http.NewRequest(method, "/", nil)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route: &routers.Route{
				Spec:      doc,
				Path:      path,
				PathItem:  item,
				Method:    method,
				Operation: item.GetOperation(method),
			},
		},
		Status:  response.StatusCode,
		Header:  response.Header,
		Body:    io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}
