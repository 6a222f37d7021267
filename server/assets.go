package server

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

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
)

// assetsPath is where the page has its parts. It is not below /v1: they are no part of the contract.
const assetsPath = "/swagger-ui/"

//go:embed page/page.css page/page.js
var ownAssets embed.FS

// assetTypes are the types of the assets by the ends of their names, and do not depend on the machine.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".png": "image/png",
}

// asset is a file that the page loads.
type asset struct {
	contentType string
	content     []byte
	gzipped     bool // whether the content is
	tag         string
}

// assets are the files that the page loads, by name. swgui's own handler would answer what is wrong with a text, and its
// page needs scripts in the page.
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
		hash := sha256.Sum256(content)
		all[name] = &asset{
			contentType: assetTypes[path.Ext(name)],
			content:     content,
			gzipped:     gzipped,
			tag:         fmt.Sprintf(`"%x"`, hash[:16]),
		}
	}
	return all, nil
})

// serveAssets adds a route for each asset. Returns an error when one is not built in.
func serveAssets(e *echo.Echo) error {
	all, err := assets()
	for name, a := range all {
		e.Match([]string{http.MethodGet, http.MethodHead}, assetsPath+name, a.serve)
	}
	return err
}

// serve answers with the file, or with 304 to who has it.
func (a *asset) serve(c echo.Context) error {
	w, r := c.Response(), c.Request()
	header := w.Header()
	setDocumentationHeaders(header, a.contentType)
	if a.gzipped {
		header.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
		if !acceptsGzip(r.Header) {
			return a.unzip(w, r)
		}
		header.Set(echo.HeaderContentEncoding, "gzip")
	}
	header.Set("ETag", a.tag)
	header.Set(echo.HeaderContentLength, strconv.Itoa(len(a.content)))
	// A part of so small a file is of no use to anyone.
	r.Header.Del("Range")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
	return nil
}

// unzip answers those few who do not take a file as it is kept.
func (a *asset) unzip(w http.ResponseWriter, r *http.Request) error {
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	content, err := gzip.NewReader(bytes.NewReader(a.content))
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

// acceptsGzip tells whether the caller says so (RFC 9110, section 12.5.3).
func acceptsGzip(header http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(header.Values(echo.HeaderAcceptEncoding), ","), ",") {
		name, weight, weighed := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return !weighed || err == nil && q > 0
	}
	return false
}
