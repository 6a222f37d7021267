package client

import (
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
