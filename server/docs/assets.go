package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swaggest/swgui/v5/static"
)

// AssetsPath is the folder of the page's assets. It is not below /v1, because they are no part of
// the contract.
const AssetsPath = "/swagger-ui/"

//go:embed page/page.css page/page.js
var ownAssets embed.FS

// assetTypes are the media types of the assets by extension. They do not depend on the machine, as
// package mime does.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".png": "image/png",
}

// asset is a file that is built in.
type asset struct {
	contentType string
	policy      string // its Content-Security-Policy; "" for none
	content     []byte
	gzipped     bool // whether the content is
	tag         string
}

func newAsset(contentType string, content []byte, gzipped bool) *asset {
	hash := sha256.Sum256(content)
	return &asset{contentType: contentType, content: content, gzipped: gzipped, tag: fmt.Sprintf("%x", hash[:16])}
}

// assets are the files that the page loads, by name. swgui's own handler writes errors as text, and
// its page needs inline scripts.
var assets = sync.OnceValues(func() (map[string]*asset, error) {
	all := map[string]*asset{}
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
		name, gzipped := strings.CutSuffix(path.Base(file.name), ".gz")
		all[name] = newAsset(assetTypes[path.Ext(name)], content, gzipped)
	}
	return all, nil
})

// Assets returns a handler of GET and HEAD for each asset, by its path.
// Returns an error if one is not built in.
func Assets() (map[string]http.Handler, error) {
	all, err := assets()
	handlers := map[string]http.Handler{}
	for name, a := range all {
		handlers[AssetsPath+name] = a
	}
	return handlers, err
}

// ServeHTTP writes the file, or 304 if the caller has it. A browser caches the file, but asks each
// time whether it has changed: all are of one version.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header, content, tag := w.Header(), a.content, a.tag
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if a.policy != "" {
		header.Set("Content-Security-Policy", a.policy)
	}
	if a.gzipped {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header) {
			header.Set("Content-Encoding", "gzip")
			header.Set("Content-Length", strconv.Itoa(len(content)))
		} else {
			content, tag = decompress(content), tag+"-plain"
		}
	}
	header.Set("ETag", `"`+tag+`"`)
	// A part of so small a file is of no use to anyone.
	r.Header.Del("Range")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// decompress is for one of the few callers who do not accept gzip.
func decompress(content []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		panic(err) // what is built in is not compressed
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return plain
}

// acceptsGzip reports whether the caller accepts gzip (RFC 9110, section 12.5.3).
func acceptsGzip(header http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		name, weight, weighed := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return !weighed || err == nil && q > 0
	}
	return false
}
