// Package page serves the page on which people find a run: a script that asks the contract, and
// nothing else.
package page

import (
	"embed"
	"io/fs"
	"maps"
	"net/http"
	"sync"

	"github.com/jobruns/jobruns/server/asset"
)

// Path is where the page is, and AssetsPath the folder of what it loads. They are not below /v1,
// because they are no part of the contract.
const (
	Path       = "/"
	AssetsPath = "/page/"
)

// policy lets the page load what this server has, send requests to this server, and nothing else.
// Trusted Types have the browser refuse to make HTML of a text, whatever the script does.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// index is the same for every caller: it finds what it needs by addresses that are relative to its own.
//
//go:embed index.html
var index []byte

//go:embed files
var files embed.FS

// Handlers returns a handler of GET and HEAD for the page, which says which program serves it, and
// for each of its assets, by its path. Returns an error if they cannot be read.
func Handlers(program string) (map[string]http.Handler, error) {
	handlers := map[string]http.Handler{Path: asset.NewPage(index, program, policy)}
	all, err := assets()
	maps.Copy(handlers, all)
	return handlers, err
}

// assets are the same for every server.
var assets = sync.OnceValues(func() (map[string]http.Handler, error) {
	names, err := fs.Glob(files, "files/*")
	if err != nil {
		return nil, err
	}
	return asset.Handlers(AssetsPath, files, names...)
})
