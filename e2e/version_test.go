package e2e

import (
	"runtime"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]string{"jobrun": {"--version"}, "jobrund": {"version", "--version"}, "northflank": {"version", "--version"}} {
		for _, args := range all {
			cmd := program(t, name, args)
			cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3", "JOBRUND_STORE=nowhere")
			got := outcomeOf(t, cmd)
			if got.status != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, name+" version ") ||
				!strings.HasSuffix(got.stdout, "\ngo     "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\n") {
				t.Errorf("%s %s: %+v", name, args, got)
			}
		}
	}
	// What cannot be set in the environment must not say that it can.
	if got := jobrund(t, "--help"); !strings.Contains(got.stdout, "-v, --version ") ||
		strings.Contains(got.stdout, "JOBRUND_VERSION") ||
		strings.Contains(got.stdout, "JOBRUND_HELP") {
		t.Errorf("jobrund --help: %+v", got)
	}
	cmd := program(t, "jobrund")
	cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3")
	if got := outcomeOf(t, cmd); got.status != 2 || !strings.Contains(got.stderr, "Available Commands:") {
		t.Errorf("with JOBRUND_VERSION: %+v", got)
	}
}
