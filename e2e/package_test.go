//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
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

// TestPackagesPassLinters has the manual and the packages of a release judged by the tools of those
// who make packages. .ci/package justifies each override.
func TestPackagesPassLinters(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(released(t), "jobruns"+releasedPlatform)
	command(t, folder, nil, "tar", "-xzf", name+".tar.gz", "--strip-components=1")
	pages, err := filepath.Glob(filepath.Join(folder, "man", "man1", "*.1"))
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d manual pages, %v", len(pages), err)
	}
	command(t, folder, nil, "mandoc", append([]string{"-Tlint", "-Wwarning"}, pages...)...)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil || !regexp.MustCompile(`(?m)^\.TH .* "20\d\d-\d\d-\d\d" `).Match(text) {
			t.Errorf("%s has no date that mandoc can parse: %v", page, err)
		}
	}

	home := "HOME=" + t.TempDir()
	command(t, folder, []string{home}, "lintian", "--allow-root", "--fail-on", "error,warning", name+".deb")

	// rpmlint unpacks with cpio, and the names in the package begin with a slash.
	unpack := filepath.Join(folder, "cpio")
	if err := os.WriteFile(unpack, []byte("#!/bin/sh\nexec /usr/bin/cpio --no-absolute-filenames \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs("../.ci/package/rpmlint.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + folder + ":" + os.Getenv("PATH")
	out := command(t, folder, []string{home, path}, "rpmlint", "--config", config, name+".rpm")
	if !strings.Contains(out, "0 errors, 0 warnings") {
		t.Errorf("rpmlint: %s", out)
	}
	files := command(t, folder, []string{home}, "rpm", "--query", "--list", "--package", name+".rpm")
	if !strings.Contains(files, "/usr/share/zsh/site-functions/_jobrun\n") {
		t.Errorf("zsh does not find the completions of the .rpm: %s", files)
	}
}
