package client

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDependencies keeps what only a server needs out of the programs of those who call it.
func TestDependencies(t *testing.T) {
	for _, pkg := range []string{"client", "cmd/northflank"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/jobruns/jobruns/"+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(string(out), "github.com/jobruns/jobruns/gen/client\n") {
			t.Errorf("%s does not use the generated client", pkg)
		}
		for dep := range strings.Lines(string(out)) {
			for _, heavy := range []string{
				"github.com/labstack/", "github.com/getkin/", "github.com/swaggest/", "database/sql\n", "modernc.org/", "github.com/jackc/",
			} {
				if strings.HasPrefix(dep, heavy) {
					t.Errorf("%s links %s", pkg, dep)
				}
			}
		}
	}
}
