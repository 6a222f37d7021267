package jobrun

import (
	"strings"
	"testing"
)

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
