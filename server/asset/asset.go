// Package asset serves the files of the pages: they are built in, and all are of one version.
package asset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// types are the media types of assets by extension. They do not depend on the machine, as those of
// package mime do.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".png":  "image/png",
	".svg":  "image/svg+xml",
}

// Asset is a handler of GET and HEAD for a file.
type Asset struct {
	name        string
	contentType string
	content     []byte
	gzipped     bool // whether the content is
	tag         string
	policy      string
}

// New returns a file with that name and content. The content of a name that ends in ".gz" is
// compressed, and the asset's name lacks that ending. Text is compressed here if it is not yet.
func New(name string, content []byte) *Asset {
	name, gzipped := strings.CutSuffix(name, ".gz")
	if !gzipped && path.Ext(name) != ".png" {
		content, gzipped = compress(content), true
	}
	hash := sha256.Sum256(content)
	return &Asset{
		name:        name,
		contentType: types[path.Ext(name)],
		content:     content,
		gzipped:     gzipped,
		tag:         fmt.Sprintf("%x", hash[:16]),
	}
}

// Handlers returns the files, by their paths in a folder of the server. Returns an error if a file
// cannot be read.
func Handlers(folder string, files fs.FS, names ...string) (map[string]http.Handler, error) {
	handlers := map[string]http.Handler{}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("an asset of a page: %w", err)
		}
		a := New(path.Base(name), content)
		handlers[folder+a.name] = a
	}
	return handlers, nil
}

// programMark is where a page says which program serves it.
var programMark = []byte("<!-- program -->")

// NewPage returns a page with that Content-Security-Policy. It says which program serves it, unless
// that is "".
func NewPage(content []byte, program, policy string) *Asset {
	a := New("index.html", bytes.Replace(content, programMark, []byte(html.EscapeString(program)), 1))
	a.policy = policy
	return a
}

// ServeHTTP writes the file, or 304 if the caller has it. A browser caches the file, but asks each
// time whether it has changed: all are of one version.
func (a *Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header, content, tag := w.Header(), a.content, a.tag
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache")
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

func compress(text []byte) []byte {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write(text) // to memory, which never fails
	_ = w.Close()
	return compressed.Bytes()
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
