package jobrund

import (
	"errors"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server"
)

// TestCheckID compares what is accepted with what the document says.
func TestCheckID(t *testing.T) {
	doc, err := server.Document()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["ID"].Value
	for _, text := range []string{"", "a", "a.b", "-", "a-", "a/b", "a\n", "é", "A_9", strings.Repeat("a", 253), strings.Repeat("a", 254)} {
		err := CheckID("job", text)
		if want := schema.VisitJSONString(text) == nil; (err == nil) != want {
			t.Errorf("%q: %v, want it to be accepted: %t", text, err, want)
		}
		if err == nil {
			continue
		}
		var usage UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), schema.Description) || !strings.Contains(err.Error(), "1 to 253 characters") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
