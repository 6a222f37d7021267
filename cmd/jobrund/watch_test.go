package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobruns/jobruns/cmd/internal/cli"
)

func TestWatchSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("HOME", folder)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	broken, good := filepath.Join(folder, "broken"), filepath.Join(folder, "good")
	for file, text := range map[string]string{
		broken: "{",
		good: `{"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
			"contexts": [{"name": "x", "context": {"cluster": "c"}}], "current-context": "x"}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		args  string
		usage bool
		want  string
	}{
		"an argument":           {"jobs", true, `unexpected argument "jobs"`},
		"team":                  {"--team -a", true, `--team "-a": must have 1 to 253 characters`},
		"namespace":             {"--namespace a --namespace A_b", true, `--namespace "A_b": a lowercase RFC 1123 label`},
		"no namespace":          {"--namespace=", true, "--namespace: must not be empty"},
		"selector":              {"--selector a==b==c", true, `--selector "a==b==c": found '=='`},
		"job label":             {"--job-label a/b/c", true, `--job-label "a/b/c": a valid label key`},
		"no kubeconfig":         {"", false, "--kubeconfig: there is no kubeconfig"},
		"kubeconfig not there":  {"--kubeconfig " + broken + ".none", false, "--kubeconfig: stat " + broken + ".none"},
		"kubeconfig not YAML":   {"--kubeconfig " + broken, false, `--kubeconfig: error loading config file "` + broken},
		"store":                 {"--kubeconfig " + good + " --store sqlite:" + folder, false, `store "sqlite:` + folder},
		"an address of no kind": {"--kubeconfig " + good + " --store sqlite:" + folder + "/db --admin-addr nowhere", false, "listen tcp: address nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot()
			root.SetArgs(append([]string{"watch"}, strings.Fields(test.args)...))
			err := root.Execute()
			var usage cli.UsageError
			if err == nil || errors.As(err, &usage) != test.usage || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("the error is %q, wrong usage: %t; want %q, %t", err, errors.As(err, &usage), test.want,
					test.usage)
			}
		})
	}
}
