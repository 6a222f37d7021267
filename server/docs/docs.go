// Package docs serves the documentation: the contract as JSON and as a page, and the assets of the
// page.
package docs

import (
	"bytes"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/jobruns/jobruns"
	"github.com/jobruns/jobruns/server/asset"
)

// Document returns what returns a handler of GET and HEAD, or an error if the contract that is built
// in cannot be read. The handler answers with the contract as JSON, in the order of
// openapi.yaml, in which people read it, and which the copy in gen has lost. Its only server is a
// relative URL, so that it is right behind any proxy: "..", because the document is below /v1.
//
// info.version is the version of the contract, which changes when the contract does. The version of
// the program that serves it is beside it, as info.x-served-by, unless program is "".
//
// The contract is read at the first call. That takes milliseconds, and few servers are asked.
func Document(program string) func() (http.Handler, error) {
	return sync.OnceValues(func() (http.Handler, error) { return document(program) })
}

func document(program string) (http.Handler, error) {
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(jobruns.Document, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	for i := range doc {
		switch info, _ := doc[i].Value.(yaml.MapSlice); {
		case doc[i].Key == "servers":
			doc[i].Value = []map[string]string{{"url": ".."}}
		case doc[i].Key == "info" && program != "":
			doc[i].Value = append(info, yaml.MapItem{Key: "x-served-by", Value: program})
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
	return asset.New("document.json", compact.Bytes()), nil
}

// page is the same for every caller: it finds what it needs by addresses that are relative to its own.
//
//go:embed page/index.html
var page []byte

// pagePolicy lets the page load what this server has, send requests to this server, and nothing
// else. Swagger UI has its small images in its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page returns a handler of GET and HEAD that answers with the page, which says which program serves
// it.
func Page(program string) http.Handler { return asset.NewPage(page, program, pagePolicy) }
