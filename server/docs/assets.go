package docs

import (
	"embed"
	"maps"
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

// Assets returns a handler of GET and HEAD for each file that the page loads, by its path. swgui's own
// handler writes errors as text, and its page needs inline scripts. Returns an error if a file is not
// built in.
var Assets = sync.OnceValues(func() (map[string]http.Handler, error) {
	handlers, err := asset.Handlers(AssetsPath, static.FS,
		"swagger-ui.css.gz", "swagger-ui-bundle.js.gz", "favicon-32x32.png")
	if err != nil {
		return nil, err
	}
	own, err := asset.Handlers(AssetsPath, ownAssets, "page/page.css", "page/page.js")
	maps.Copy(handlers, own)
	return handlers, err
})
