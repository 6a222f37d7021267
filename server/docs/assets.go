package docs

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/swaggest/swgui/v5/static"

	"github.com/jobruns/jobruns/server/asset"
)

// AssetsPath is the folder of the page's assets. It is not below /v1, because they are no part of
// the contract.
const AssetsPath = "/swagger-ui/"

//go:embed page/page.css page/page.js
var ownAssets embed.FS

// assets are the files that the page loads. swgui's own handler writes errors as text, and its page
// needs inline scripts.
var assets = sync.OnceValues(func() ([]*asset.Asset, error) {
	var all []*asset.Asset
	for _, file := range []struct {
		from fs.FS
		name string
	}{
		{static.FS, "swagger-ui.css.gz"},
		{static.FS, "swagger-ui-bundle.js.gz"},
		{static.FS, "favicon-32x32.png"},
		{ownAssets, "page/page.css"},
		{ownAssets, "page/page.js"},
	} {
		content, err := fs.ReadFile(file.from, file.name)
		if err != nil {
			return nil, fmt.Errorf("an asset of the page: %w", err)
		}
		all = append(all, asset.New(file.name, content))
	}
	return all, nil
})

// Assets returns a handler of GET and HEAD for each asset, by its path.
// Returns an error if one is not built in.
func Assets() (map[string]http.Handler, error) {
	all, err := assets()
	handlers := map[string]http.Handler{}
	for _, a := range all {
		handlers[AssetsPath+a.Name()] = a
	}
	return handlers, err
}
