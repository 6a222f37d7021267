package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jobruns/jobruns/gen/model"
)

const bundlePath = "/swagger-ui/swagger-ui-bundle.js"

// asset asks for a file of the page, which is no part of the contract unless something is wrong.
func (a *api) asset(method, path string, header map[string]string) *httptest.ResponseRecorder {
	a.Helper()
	r := httptest.NewRequest(method, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	a.handler.ServeHTTP(recorder, r)
	a.log.take()
	wantHeaders(a, recorder.Header(), map[string]string{"X-Content-Type-Options": "nosniff"})
	return recorder
}

func TestAssetEncoding(t *testing.T) {
	a := newAPI(t)
	zipped := a.asset(http.MethodGet, bundlePath, map[string]string{"Accept-Encoding": "gzip"}).Body
	unzipped, err := gzip.NewReader(bytes.NewReader(zipped.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		accept string
		gzip   bool
	}{
		{"gzip", true},
		{"GZIP", true},
		{"br, gzip;q=0.5", true},
		{"gzip ; q=1.0, identity", true},
		{"", false},
		{"br", false},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"gzip;q=x", false},
		{"x-gzip-not", false},
	}
	for _, test := range tests {
		t.Run(test.accept, func(t *testing.T) {
			header := map[string]string{"Accept-Encoding": test.accept}
			got, head := a.asset(http.MethodGet, bundlePath, header), a.asset(http.MethodHead, bundlePath, header)
			encoding, want := "", plain
			if test.gzip {
				encoding, want = "gzip", zipped.Bytes()
			}
			if got.Header().Get("Content-Encoding") != encoding || !bytes.Equal(got.Body.Bytes(), want) {
				t.Errorf("Content-Encoding is %q with %d bytes, want %q with %d",
					got.Header().Get("Content-Encoding"), got.Body.Len(), encoding, len(want))
			}
			if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Encoding") != encoding {
				t.Errorf(
					"HEAD: the status is %d, the body has %d bytes, the header is %v",
					head.Code,
					head.Body.Len(),
					head.Header(),
				)
			}
			wantHeaders(t, got.Header(), map[string]string{"Vary": "Accept-Encoding"})
		})
	}
}

// A caller who keeps a page, a document or an asset gets it once.
func TestAssetIsSentOnce(t *testing.T) {
	a := newAPI(t)
	for _, path := range []string{bundlePath, documentPath, pagePath, "/"} {
		for _, encoding := range []string{"gzip", "identity"} {
			with := map[string]string{"Accept-Encoding": encoding}
			tag := a.asset(http.MethodGet, path, with).Header().Get("ETag")
			for _, test := range []struct {
				name, value string
				want        int
			}{
				{"If-None-Match", tag, 304},
				{"If-None-Match", `"x", ` + tag, 304},
				{"If-None-Match", `"x"`, 200},
				{"Range", "bytes=0-9", 200},
				{"Range", "bytes=99999999-", 200},
			} {
				got := a.asset(http.MethodGet, path, map[string]string{"Accept-Encoding": encoding, test.name: test.value})
				if got.Code != test.want || (got.Body.Len() == 0) != (test.want == 304) {
					t.Errorf("%s, %s: %s: the status is %d with %d bytes, want %d",
						path, test.name, test.value, got.Code, got.Body.Len(), test.want)
				}
				wantHeaders(t, got.Header(), map[string]string{"Cache-Control": "no-cache", "Vary": "Accept-Encoding"})
			}
		}
	}
}

// A change that another page or document made meanwhile is an error like any other (RFC 9110,
// section 13.1.1).
func TestPreconditionOfAnAsset(t *testing.T) {
	a, secret := newFilledAPI(t)
	for _, path := range []string{bundlePath, "/", "/v1/swagger-json", "/v1/swagger-html"} {
		for _, encoding := range []string{"gzip", "identity"} {
			header := map[string]string{"Accept-Encoding": encoding}
			tag := a.asset(http.MethodGet, path, header).Header().Get("ETag")
			for match, want := range map[string]int{tag: 200, "*": 200, `"x"`: 412, "W/" + tag: 412, "x": 412} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					header["If-Match"] = match
					got := a.asset(method, path, header)
					if got.Code != want {
						t.Errorf("%s %s, If-Match %s: the status is %d, want %d", method, path, match, got.Code, want)
					}
					if got.Code != 412 {
						continue
					}
					var result model.ErrorResult
					decodeStrictly(t, got.Body.Bytes(), &result)
					if result.Error.Status != 412 || got.Header().Get("Content-Encoding") != "" {
						t.Errorf("%s %s: %v %s", method, path, got.Header(), got.Body)
					}
					wantHeaders(t, got.Header(), map[string]string{"Content-Type": "application/json"})
				}
			}
		}
	}
	r := httptest.NewRequest(http.MethodGet, runPath(t, exampleKey), nil)
	r.Header.Set("If-Match", `"x"`) // a run has no ETag
	r.Header.Set("Authorization", "Bearer "+secret)
	a.want(a.send(r), 200)
}

// What is no asset is answered as any other path that does not exist, and so is what is not asked
// for rightly.
func TestNoAsset(t *testing.T) {
	a := newAPI(t)
	for _, path := range []string{
		"/swagger-ui", "/swagger-ui/", "/swagger-ui/x.js", "/swagger-ui/swagger-ui-bundle.js.gz", "/swagger-ui/index.html",
		bundlePath + "/", bundlePath + "/x", "/swagger-ui/../swagger-ui/page.js", "/swagger-ui/%2e%2e/page.js",
		"/swagger-ui/swagger-ui-standalone-preset.js", "/swagger-ui/embed.go", pagePath + "/", pagePath + "/page.js", documentPath + "/",
	} {
		a.want(a.get(path, ""), 404)
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete, "X"} {
		got := a.do(method, bundlePath, "")
		a.want(got, 405)
		wantAllow(t, got, []string{"GET", "HEAD", "OPTIONS"})
	}
}
