package jobrun

import (
	"testing"

	"github.com/jobruns/jobruns/gen/spec"
)

func TestIDRulesAreThoseOfTheDocument(t *testing.T) {
	doc, err := spec.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["ID"].Value
	if schema.Description != idDescription || schema.MinLength != idMinLength || schema.MaxLength == nil ||
		*schema.MaxLength != idMaxLength || schema.Pattern != idPattern {
		t.Errorf(
			"the document says %q, %d to %v characters, %s",
			schema.Description,
			schema.MinLength,
			schema.MaxLength,
			schema.Pattern,
		)
	}
}

func TestCheckID(t *testing.T) {
	for text, want := range map[string]bool{"a": true, "a.b_c-1": true, "": false, "-a": false, "a-": false, "a/b": false, "é": false} {
		if got := CheckID(text) == nil; got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}
