package client

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestNullEmptyTimes(t *testing.T) {
	for body, want := range map[string]string{
		`{"concludedAt":""}`:                          `{"concludedAt":null}`,
		`{"a": 1, "startedAt" : "","concludedAt":""}`: `{"a": 1, "startedAt" : null,"concludedAt":null}`,
		"[{\n\"concludedAt\":\n\"\"}]":                "[{\n\"concludedAt\":\nnull}]",
		`{"concludedAt": "2020-12-08T11:52:08Z"}`:     "",
		`{"runName": "", "startedAt": " "}`:           "",
		`{"runName": "{\"startedAt\": \"\"}"}`:        "",
		`{"x\"startedAt": ""}`:                        "",
		`{"notStartedAt": "", "startedAtAll": ""}`:    "",
		`["startedAt", ""]`:                           "",
	} {
		if want == "" {
			want = body
		}
		if got := nullEmptyTimes([]byte(body)); string(got) != want {
			t.Errorf("nullEmptyTimes(%s) = %s, want %s", body, got, want)
		}
	}
}

// FuzzNullEmptyTimes compares the result with one that encoding/json makes.
func FuzzNullEmptyTimes(f *testing.F) {
	f.Add(strings.Replace(documented, `"2020-12-08T11:52:08Z"`, `""`, 1))
	f.Add(`{"startedAt": "", "runName": "\\\"startedAt\": \"\"", "x\"startedAt": "", "": [{"concludedAt" :""}, ""]}`)
	var null func(v any) any
	null = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = null(v[i])
			}
		case map[string]any:
			for key := range v {
				if (key == "startedAt" || key == "concludedAt") && v[key] == "" {
					v[key] = nil
				}
				v[key] = null(v[key])
			}
		}
		return v
	}
	f.Fuzz(func(t *testing.T, body string) {
		var before, after any
		if json.Unmarshal([]byte(body), &before) != nil || strings.Contains(body, `\u`) { // an escaped name stays
			return
		}
		got := nullEmptyTimes([]byte(body))
		if err := json.Unmarshal(got, &after); err != nil || !reflect.DeepEqual(after, null(before)) {
			t.Errorf("%s becomes %s: %v", body, got, err)
		}
	})
}
