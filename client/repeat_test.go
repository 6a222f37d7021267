package client

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/gen/spec"
)

func TestRepeatableOperationsAreThoseOfTheDocument(t *testing.T) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	var marked []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if idempotent, _ := op.Extensions["x-idempotent"].(bool); idempotent && method != http.MethodGet {
				marked = append(marked, method+" "+path)
			}
		}
	}
	slices.Sort(marked)
	if !slices.Equal(marked, repeatable) {
		t.Errorf("the document marks %q, the client repeats %q", marked, repeatable)
	}
}

func TestClientRepeatsOnlyWhatMayBeRepeated(t *testing.T) {
	busy := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, test := range []struct {
		method, path string
		tries        int
	}{
		{"GET", "/v1/a", 5}, {"HEAD", "/v1/a", 5}, {"POST", "/v1/a", 1}, {"PUT", "/v1/a", 1}, {"DELETE", "/v1/a", 1},
		{"PUT", "/v1/a/1", 5}, {"POST", "/v1/a/1", 1}, {"PUT", "/v1/a/1/b", 1}, {"PUT", "/v1/a/", 1},
	} {
		for name, handler := range map[string]http.HandlerFunc{"a lost response": nil, "503": busy} {
			asked := 0
			c, err := New("https://api.example.com/prefix/", script(&asked, handler))
			if err != nil {
				t.Fatal(err)
			}
			c.repeatable = patterns([]string{"PUT /v1/a/{id}"}, "https://api.example.com/prefix/")
			req, err := http.NewRequest(
				test.method,
				"https://api.example.com/prefix"+test.path,
				strings.NewReader("{}"),
			)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := c.do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			if asked != test.tries {
				t.Errorf("%s %s, %s: sent %d times, want %d", test.method, test.path, name, asked, test.tries)
			}
		}
	}
}
