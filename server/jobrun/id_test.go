package jobrun

import (
	"strings"
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

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "nightly backup", "ü", "日本", "😀", "עברית", "a\u00a0b", "\ufffd", strings.Repeat("é", 512)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for char, want := range map[string]string{
		"\u0080": "U+0080", "\u0085": "U+0085", "\u009b": "U+009B", "\u2028": "U+2028", "\u2029": "U+2029", "\u200e": "U+200E",
		"\u200f": "U+200F", "\u202a": "U+202A", "\u202e": "U+202E", "\u2066": "U+2066", "\u2069": "U+2069", "\u061c": "U+061C",
	} {
		if err := CheckName("a" + char + "b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", char, err, want)
		}
	}
}
