// Package docs serves the documentation: the contract as JSON and as a page, and the assets of the
// page.
package docs

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/jobruns/jobruns"
)

// Document returns a handler of GET and HEAD that answers with the contract as JSON, in the order of
// openapi.yaml, in which people read it, and which the copy in gen has lost. Its only server is a
// relative URL, so that it is right behind any proxy: "..", because the document is below /v1.
// Returns an error if the contract that is built in cannot be read.
//
// The contract is read when it is first asked for. That takes milliseconds, and few servers are
// asked.
var Document = sync.OnceValues(func() (http.Handler, error) {
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(jobruns.Document, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	for i := range doc {
		if doc[i].Key == "servers" {
			doc[i].Value = []map[string]string{{"url": ".."}}
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
	return newAsset("application/json", compress(compact.Bytes()), true), nil
})

// page is the same for everyone: it finds what it needs by addresses that are relative to its own.
//
//go:embed page/index.html
var page []byte

// pagePolicy lets the page load what this server has, send requests to this server, and nothing
// else. Swagger UI has its small images in its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page returns a handler of GET and HEAD that answers with the page.
var Page = sync.OnceValue(func() http.Handler {
	a := newAsset("text/html; charset=UTF-8", compress(page), true)
	a.policy = pagePolicy
	return a
})

func compress(text []byte) []byte {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write(text) // to memory, which never fails
	_ = w.Close()
	return compressed.Bytes()
}
