// Package docs serves the documentation: the contract as JSON and as a page, and the assets of the
// page.
package docs

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

	"github.com/jobruns/jobruns"
	"github.com/jobruns/jobruns/server/asset"
)

// template is the contract as JSON, in two parts: the URL of the server goes between them, because
// it differs by caller. It has the order of openapi.yaml, in which people read it, and which the
// copy in gen has lost.
type template struct{ before, after []byte }

// documentTemplate reads the contract when it is first asked for. That takes milliseconds, and few
// servers are asked.
var documentTemplate = sync.OnceValues(func() (*template, error) {
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
	return &template{before, after}, nil
})

// Document returns the contract as JSON, with this server as its only one, at the URL that the
// request was sent to. Returns an error if the contract that is built in cannot be read.
func Document(r *http.Request) ([]byte, error) {
	t, err := documentTemplate()
	if err != nil {
		return nil, err
	}
	quoted, _ := json.Marshal(origin(r)) // a string never fails
	return bytes.Join([][]byte{t.before, quoted, t.after}, nil), nil
}

// maxHost is the length of the longest host: a name of 253 characters and a port.
const maxHost = 253 + len(":65535")

var hostAndPort = regexp.MustCompile(`^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// origin returns the URL of this server as the caller has reached it: an absolute one, or the
// relative "/" if the request names no host.
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

// page is the same for everyone: it finds what it needs by addresses that are relative to its own.
//
//go:embed page/index.html
var page []byte

// pagePolicy lets the page load what this server has, send requests to this server, and nothing
// else. Swagger UI has its small images in its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// WritePage writes the page, with the status 200. Returns an error if the caller has left.
func WritePage(w http.ResponseWriter) error {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	return write(w, "text/html; charset=UTF-8", page)
}

// WriteDocument writes what Document returned, with the status 200. Returns an error if the caller
// has left.
func WriteDocument(w http.ResponseWriter, document []byte) error {
	return write(w, "application/json", document)
}

func write(w http.ResponseWriter, contentType string, body []byte) error {
	asset.SetHeaders(w.Header(), contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}
