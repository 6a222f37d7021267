package contract_test

import (
	"strings"
	"testing"

	"github.com/jobruns/jobruns/server"
	"github.com/jobruns/jobruns/server/contract"
)

// TestID compares what is read of the document with what the server reads of it.
func TestID(t *testing.T) {
	doc, err := server.Document()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["ID"].Value
	id, err := contract.ID()
	if err != nil {
		t.Fatal(err)
	}
	if id.MinLength != int(schema.MinLength) || id.MaxLength != int(*schema.MaxLength) || id.Description != schema.Description {
		t.Errorf("%+v, want %+v", id, schema)
	}
	for _, text := range []string{"", "a", "a.b", "-", "a-", "a/b", "a\n", "é", "A_9", strings.Repeat("a", 253), strings.Repeat("a", 254)} {
		if got, want := id.Accepts(text), schema.VisitJSONString(text) == nil; got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

func BenchmarkID(b *testing.B) {
	for b.Loop() {
		if _, err := contract.ID(); err != nil {
			b.Fatal(err)
		}
	}
}
