package server

import (
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/jobruns/jobruns/gen/model"
)

// NewFrom is New for a document that a test has changed.
var NewFrom = newEcho

// EncodeFrom returns what encodes answers with runs for a document, and whether all that the document says of them is
// prepared.
func EncodeFrom(doc *openapi3.T) (encode func(*model.JobRun) ([]byte, error), prepared bool) {
	e := newDetailsEncoder(doc)
	return e.encode, e.accepts != nil
}
