package server

import (
	"log/slog"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/server/contract"
)

// NewFrom is New for a document that a test has changed.
func NewFrom(doc *openapi3.T, store Store, log *slog.Logger, options Options) (http.Handler, error) {
	document, err := contract.Prepare(doc)
	if err != nil {
		return nil, err
	}
	return newEcho(document, store, log, options, newMetrics(options.Metrics))
}

// Queries are those that metrics and traces know.
var Queries = queries
