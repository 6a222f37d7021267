//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// needRoot skips a test that needs root on Linux, unless that is CI, where it has to run.
func needRoot(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "linux" && os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root on Linux")
	}
	t.Skip("this test needs root on Linux")
}

// TestPackage installs the .deb of a release on a booted system, starts the service in its sandbox,
// upgrades, removes and purges it: see testdata/package.
func TestPackage(t *testing.T) {
	needRoot(t)
	t.Parallel()
	folder := t.TempDir()
	for from, to := range map[string]string{
		filepath.Join(released(t), "jobruns"+releasedPlatform+".deb"): "jobruns.deb",
		"testdata/package/script":                                     "script",
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "testdata/package/boot", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(folder, "result")); err != nil {
		log, logErr := os.ReadFile(filepath.Join(folder, "log"))
		t.Errorf("the script has failed: %s%s %v", out, log, logErr)
	}
}
