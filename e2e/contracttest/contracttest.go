// Package contracttest validates responses against openapi.yaml with kin-openapi. The tests of
// package server and of the built programs send their requests through it.
package contracttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/jobruns/jobruns/gen/spec"
)

func init() { openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder) }

var document = sync.OnceValues(spec.GetSpec)

// Transport sends requests with Next and validates the responses with Check.
type Transport struct{ Next http.RoundTripper }

// RoundTrip implements http.RoundTripper. The body of the response is read whole.
// Returns an error that names the broken rule if the contract does not allow the response.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, Check(r, response.StatusCode, response.Header, body)
}

// Check returns an error that names the broken rule if the document does not allow the response.
// A request that no operation takes must get the document's error object. Responses outside /v1
// are free, except that their JSON errors are error objects too.
func Check(r *http.Request, status int, header http.Header, body []byte) error {
	doc, err := document()
	if err != nil {
		return err
	}
	if err := check(doc, r, status, header, body); err != nil {
		return fmt.Errorf("%s %s: the contract does not allow the response %d %.500s: %w",
			r.Method, r.URL, status, body, err)
	}
	return nil
}

func check(doc *openapi3.T, r *http.Request, status int, header http.Header, body []byte) error {
	if header.Get("Content-Encoding") == "gzip" && len(body) > 0 {
		unzipped, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(unzipped); err != nil {
			return err
		}
	}
	noContent := status == http.StatusNoContent || status == http.StatusNotModified
	if noContent && len(body) > 0 {
		return errors.New("the response has a body")
	}
	noBody := noContent || r.Method == http.MethodHead // httptest records the body of a HEAD
	route := routeOf(doc, r)
	if route == nil {
		if noBody || status < http.StatusBadRequest ||
			!strings.HasPrefix(r.URL.Path, "/v1/") && header.Get("Content-Type") != "application/json" {
			return nil
		}
		return validate(&routers.Route{Spec: doc, Operation: errorOnly(doc)}, status, header, body, false)
	}
	if status == http.StatusNotModified && route.Operation.Responses.Status(status) == nil {
		return errors.New("the document does not have this status") // kin-openapi never checks it
	}
	if r.Method == http.MethodOptions && status == http.StatusNoContent {
		return nil // RFC 9110, section 9.3.7
	}
	return validate(route, status, header, body, noBody)
}

func validate(route *routers.Route, status int, header http.Header, body []byte, noBody bool) error {
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		// kin-openapi skips the responses to HEAD, whose headers are those to GET.
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: &http.Request{Method: http.MethodGet},
			Route:   route,
		},
		Status:  status,
		Header:  header,
		Body:    io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: noBody},
	})
}

// errorOnly returns an operation that allows the document's error object and nothing else.
func errorOnly(doc *openapi3.T) *openapi3.Operation {
	return &openapi3.Operation{Responses: openapi3.NewResponses(
		openapi3.WithName("default", doc.Components.Responses["Default"].Value))}
}

// routeOf returns the document's operation for the request. If the path has no operation with the
// method, any operation of the path is returned, because all allow the same errors. Returns nil if
// the document does not have the path.
func routeOf(doc *openapi3.T, r *http.Request) *routers.Route {
	path := r.URL.EscapedPath()
	if r.URL.Opaque != "" {
		path = r.URL.Opaque
	}
	for template, item := range doc.Paths.Map() {
		if !slices.EqualFunc(strings.Split(template, "/"), strings.Split(path, "/"), sameSegment) {
			continue
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		operation := item.GetOperation(method)
		for _, other := range item.Operations() {
			if operation == nil {
				operation = other
			}
		}
		return &routers.Route{Spec: doc, Path: template, PathItem: item, Method: method, Operation: operation}
	}
	return nil
}

func sameSegment(template, segment string) bool {
	return template == segment || strings.HasPrefix(template, "{") && segment != ""
}
