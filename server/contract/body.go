package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

const (
	// maxBytesExtension is the maximum size of a request's body, in bytes.
	maxBytesExtension = "x-max-bytes"
	// defaultMaxBytes is the maximum size if the document does not state another.
	defaultMaxBytes = 64 << 10
	// largeBody is the size in bytes above which bodies are validated maxLargeBodies at a time, so that
	// hostile bodies neither take much memory nor delay other requests.
	largeBody      = 16 << 10
	maxLargeBodies = 2

	// maxReason is the maximum size of a violation's reason, in bytes.
	maxReason = 200

	jsonMediaType = "application/json"
)

var largeBodies = make(chan struct{}, maxLargeBodies)

// The sentinels of [Operation.ReadBody], besides ErrInvalid.
var (
	// ErrTooLarge means that a body has more bytes than the document allows.
	ErrTooLarge = errors.New("the body is too large")
	// ErrMediaType means that a body is not JSON, or is encoded.
	ErrMediaType = errors.New("the body must be application/json, without a Content-Encoding")
)

// prepareBody returns the maximum size of the operation's body, 0 for an operation without a body.
func prepareBody(op *openapi3.Operation) (maxBytes int64, err error) {
	if op.RequestBody == nil {
		return 0, nil
	}
	content := op.RequestBody.Value.Content
	if media := content[jsonMediaType]; len(content) != 1 || media == nil || media.Schema == nil {
		return 0, fmt.Errorf("its body is not %s alone", jsonMediaType)
	}
	for _, status := range []string{"413", "415"} {
		if op.Responses.Value(status) == nil {
			return 0, fmt.Errorf("it takes a body, and declares no response %s", status)
		}
	}
	value, declared := op.Extensions[maxBytesExtension]
	if !declared {
		return defaultMaxBytes, nil
	}
	number, _ := value.(float64)
	if maxBytes = int64(number); maxBytes < 1 || float64(maxBytes) != number {
		return 0, fmt.Errorf("%s is not a number of bytes: %v", maxBytesExtension, value)
	}
	return maxBytes, nil
}

// HasBody reports whether the operation takes a body.
func (o *Operation) HasBody() bool { return o.maxBytes > 0 }

// ReadBody reads and validates the body of a request. Generated code then decodes the validated
// value, not the text.
//
// Returns ErrTooLarge for a body with more bytes than the document allows, ErrMediaType for a body
// that is not JSON or has a Content-Encoding, a [*Violation] that wraps ErrInvalid for a body that
// breaks a rule, and the context's error if it ends first.
func (o *Operation) ReadBody(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 && !o.route.Operation.RequestBody.Value.Required {
		return nil
	}
	if r.ContentLength > o.maxBytes {
		return o.tooLarge()
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != jsonMediaType || r.Header.Get("Content-Encoding") != "" {
		return ErrMediaType
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, o.maxBytes))
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany):
		return o.tooLarge()
	case err != nil:
		return &Violation{In: inBody, Rule: "required", Reason: "the body is incomplete"}
	}
	if len(text) > largeBody {
		select {
		case largeBodies <- struct{}{}:
			defer func() { <-largeBodies }()
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
	if len(text) > 0 && !json.Valid(text) { // openapi3filter ignores text after the value
		return &Violation{In: inBody, Rule: "type", Reason: "not valid JSON"}
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return bodyError(openapi3filter.ValidateRequestBody(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r,
		Route:   o.route,
		Options: &openapi3filter.Options{KeepValidatedValue: true},
	}, o.route.Operation.RequestBody.Value))
}

// bodyError turns an error of openapi3filter into a [*Violation]. It never formats the error, whose
// text contains the whole value.
func bodyError(err error) error {
	if err == nil {
		return nil
	}
	v := &Violation{Rule: "required", Reason: "the body is missing"}
	var parse *openapi3filter.ParseError
	if errors.As(err, new(*openapi3.SchemaError)) {
		v = violationOf(err)
	} else if errors.As(err, &parse) && parse.Cause != nil {
		v.Rule, v.Reason = "type", parse.Cause.Error() // a name that occurs twice
	}
	v.In = inBody
	if len(v.Reason) > maxReason { // it contains names from the body
		v.Reason = strings.ToValidUTF8(v.Reason[:maxReason], "") + "..."
	}
	return v
}

func (o *Operation) tooLarge() error {
	return fmt.Errorf("%w: it may have %d bytes", ErrTooLarge, o.maxBytes)
}
