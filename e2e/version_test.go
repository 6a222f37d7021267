package e2e

import (
	"runtime"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	for _, name := range []string{"jobrund", "northflank"} {
		for _, args := range []string{"version", "--version"} {
			cmd := program(t, name, args)
			cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3", "JOBRUND_STORE=nowhere")
			got := outcomeOf(t, cmd)
			if got.status != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, name+" version ") ||
				!strings.HasSuffix(got.stdout, "\ngo     "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\n") {
				t.Errorf("%s %s: %+v", name, args, got)
			}
		}
	}
	cmd := program(t, "jobrund")
	cmd.Env = append(cmd.Env, "JOBRUND_VERSION=1.2.3")
	if got := outcomeOf(t, cmd); got.status != 2 || !strings.Contains(got.stderr, "Available Commands:") {
		t.Errorf("with JOBRUND_VERSION: %+v", got)
	}
}
