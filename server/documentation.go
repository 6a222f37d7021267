package server

import (
	"bytes"
	_ "embed" // the page
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"

	"github.com/jobruns/jobruns"
	gen "github.com/jobruns/jobruns/gen/server"
)

// servedDocument is the contract as JSON but for the URL of the server, which is another for each caller. It has the
// order of openapi.yaml, in which people read it, and which the copy in gen has lost.
type servedDocument struct{ before, after []byte }

// writtenDocument reads the contract when it is first asked for. That takes milliseconds, and few servers are asked.
var writtenDocument = sync.OnceValues(func() (*servedDocument, error) {
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(jobruns.Document, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	const url = "URL of this server"
	for i := range doc {
		if doc[i].Key == "servers" {
			doc[i].Value = []map[string]string{{"url": url}}
		}
	}
	text, err := yaml.MarshalWithOptions(doc, yaml.JSON())
	if err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	before, after, found := bytes.Cut(compact.Bytes(), []byte(`"`+url+`"`))
	if !found {
		return nil, errors.New("the contract names no servers")
	}
	return &servedDocument{before, after}, nil
})

// of returns the answer with the document of the server at the URL.
func (d *servedDocument) of(url string) documentAnswer {
	quoted, _ := json.Marshal(url) // a string can always be written
	return bytes.Join([][]byte{d.before, quoted, d.after}, nil)
}

// A host has at most maxHost characters, the port included: 253 are the longest name.
const maxHost = 253 + len(":65535")

var hostAndPort = regexp.MustCompile(`^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// origin returns the URL of this server as the caller has reached it: an absolute one, or the relative "/" where the
// request does not name a host.
func origin(r *http.Request) string {
	switch {
	case len(r.Host) > maxHost || !hostAndPort.MatchString(r.Host):
		return "/"
	case r.TLS != nil:
		return "https://" + r.Host
	default:
		return "http://" + r.Host
	}
}

// documentAnswer is an answer with the document. The generated one would sort it.
type documentAnswer []byte

var _ gen.GetSwaggerJSONResponseObject = documentAnswer{}

// checked: the document allows any object.
func (documentAnswer) checked() {}

// VisitGetSwaggerJSONResponse writes the answer.
func (d documentAnswer) VisitGetSwaggerJSONResponse(w http.ResponseWriter) error {
	return writeDocumentation(w, echo.MIMEApplicationJSON, d)
}

// The page is the same for everyone: what it needs, it finds by addresses that are relative to its own.
//
//go:embed page/index.html
var page []byte

// pagePolicy lets the page load what this server has, ask this server, and nothing else. Swagger UI has its small
// images in its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageAnswer is an answer with the page. The generated one would not have the headers.
type pageAnswer struct{}

var _ gen.GetSwaggerHTMLResponseObject = pageAnswer{}

// checked: the document allows any text.
func (pageAnswer) checked() {}

// VisitGetSwaggerHTMLResponse writes the answer.
func (pageAnswer) VisitGetSwaggerHTMLResponse(w http.ResponseWriter) error {
	w.Header().Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	return writeDocumentation(w, echo.MIMETextHTMLCharsetUTF8, page)
}

func writeDocumentation(w http.ResponseWriter, contentType string, body []byte) error {
	setDocumentationHeaders(w.Header(), contentType)
	w.Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}

// setDocumentationHeaders sets what the document, the page and all that the page loads have in common. A browser keeps
// them, but asks each time whether they have changed: they are of one version.
func setDocumentationHeaders(header http.Header, contentType string) {
	header.Set(echo.HeaderContentType, contentType)
	header.Set(echo.HeaderCacheControl, "no-cache")
	header.Set(echo.HeaderXContentTypeOptions, "nosniff")
	header.Set(echo.HeaderReferrerPolicy, "no-referrer")
}
