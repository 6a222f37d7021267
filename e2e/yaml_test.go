//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPyYAMLReadsYAMLAsSent has texts that YAML 1.1, which PyYAML reads, and YAML 1.2 read differently.
func TestPyYAMLReadsYAMLAsSent(t *testing.T) {
	strange := []any{
		"0018", "08", "1e3", "61e9540", "12:30:45", "0o17", "0x1f", "1_000", ".inf", "-.INF", ".nan", "2020-12-08", "no", "y",
		"~", "? x", "- x", "=", "<<", "<>&", "a: b", "# x", "'", `"`, `\`, "a\nb ", "\t", "\x00\x1b\x7f", "\u0085\u009b",
		"\u2028\u2029", "\u202e", "\ufeff", "\U0001f600", "\U000e0001", "",
	}
	runs := []any{map[string]any{"status": "RUNNING", "id": "r", "jobId": "j", "list": strange, "empty": []any{}}}
	for i, text := range strange {
		run := map[string]any{"id": fmt.Sprint(i), "jobId": "j", "status": "SUCCESS", "runName": text, text.(string): nil}
		runs = append(runs, run)
	}
	sent, err := json.Marshal(map[string]any{"data": map[string]any{"runs": runs}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(sent)
	}))
	defer server.Close()
	written := output(t, "northflank", "get", "job", "runs", "--host", server.URL, "--token", "secret",
		"--project", "p", "--job", "j", "-o", "yaml")
	python := exec.Command("/usr/bin/python3", "-c",
		"import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin.buffer), sys.stdout)")
	python.Stdin = strings.NewReader(written)
	read, err := python.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, read)
	}
	var got map[string]any
	if err := json.Unmarshal(read, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"runs": runs}, got); diff != "" {
		t.Errorf("PyYAML reads (-sent +read):\n%s", diff)
	}
}
