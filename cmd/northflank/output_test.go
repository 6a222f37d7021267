package main

import (
	"encoding/json"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// awkward are strings that parsers of YAML take for something else, or a terminal acts upon.
var awkward = []any{
	"", " ", "0018", "08", "1e3", "61e9540", "12:30:45", "0x1f", "0o17", "1_000", "+1", "-0", ".inf", ".nan", "2020-12-08",
	"? x", "- x", "=", "<<", "~", "null", "no", "On", "y", "[", "{}", "# x", "a: b", "a #b", "&a", "*a", "!a", "|", ">", "%a", "@a", "`",
	"'", `"`, `\`, `\n`, "a\nb\n", "\t", "\r", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u009b2J", "\u00a0", "\u200e", "\u2028",
	"\u2029", "\u202e", "\u2066", "\ufeff", "\ufffd", "\U0001f600", "\U000e0001", "<>&",
}

func TestOutputIsReadAsSent(t *testing.T) {
	sent := map[string]any{"none": []any{}, "nothing": map[string]any{}, "strings": awkward, "numbers": []any{
		0.0, -1.0, 123456789.0, 0.25,
	}, "nested": []any{[]any{1.0, []any{}, []any{map[string]any{"a": nil, "b": true}}}, map[string]any{}}}
	for _, s := range awkward {
		sent[s.(string)] = map[string]any{"key": s}
	}
	text, err := marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	for name, encode := range map[string]func(json.RawMessage) (string, error){"json": indentJSON, "yaml": toYAML} {
		written, err := encode(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range written {
			if r != '\n' && escape(string(r)) != string(r) {
				t.Errorf("%s has %U as it is", name, r)
			}
		}
		var got map[string]any
		read := json.Unmarshal
		if name == "yaml" {
			read = func(text []byte, into any) error {
				var value any
				if err := yaml.Unmarshal(text, &value); err != nil {
					return err
				}
				asJSON, err := json.Marshal(value) // in which all numbers are of one type
				if err != nil {
					return err
				}
				return json.Unmarshal(asJSON, into)
			}
		}
		if err := read([]byte(written), &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, written)
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", name, diff)
		}
	}
}
