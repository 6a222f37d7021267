//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// command runs a program of the machine in the folder.
func command(t *testing.T, folder string, environment []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// release builds a release of the last commit in a new clone, as that of version 1.2.3, and returns
// its dist/.
func release(t *testing.T, folder string, environment ...string) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), folder)
	command(t, ".", nil, "git", "clone", "--quiet", "..", source)
	command(t, source, nil, "git", "tag", "v1.2.3")
	command(t, source, environment, filepath.Join(source, ".ci", "release"), runtime.GOOS+"/"+runtime.GOARCH)
	return filepath.Join(source, "dist")
}

// TestRelease builds twice, in different surroundings. What is not committed does not take part.
func TestRelease(t *testing.T) {
	first := release(t, "a")
	second := release(t, "b c/d", "TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false", "GOOS=plan9", "LC_ALL=POSIX", "GZIP=-1")
	platform := "_v1.2.3_" + runtime.GOOS + "_" + runtime.GOARCH
	var names []string
	files, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		names = append(names, file.Name())
		one, err := os.ReadFile(filepath.Join(first, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(filepath.Join(second, file.Name())); err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s is another the second time, %v", file.Name(), err)
		}
	}
	want := []string{
		"SHA256SUMS",
		"jobrun" + platform + ".cdx.json",
		"jobrund" + platform + ".cdx.json",
		"jobruns" + platform + ".tar.gz",
		"northflank" + platform + ".cdx.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("dist/ has %q, want %q", names, want)
	}
	command(t, first, nil, "sha256sum", "--check", "--strict", "SHA256SUMS")

	unpacked := t.TempDir()
	command(t, unpacked, nil, "tar", "-xzf", filepath.Join(first, "jobruns"+platform+".tar.gz"))
	unpacked = filepath.Join(unpacked, "jobruns"+platform)
	for _, name := range []string{"LICENSE", "README.md"} {
		if _, err := os.Stat(filepath.Join(unpacked, name)); err != nil {
			t.Error(err)
		}
	}
	commit := command(t, ".", nil, "git", "rev-parse", "HEAD")
	for program, page := range map[string]string{"jobrun": "jobrun.1", "jobrund": "jobrund-token-create.1", "northflank": "northflank-get-job-run.1"} {
		want := program + " version v1.2.3\ncommit " + commit + "date   "
		if got := command(t, unpacked, nil, "./"+program, "--version"); !strings.HasPrefix(got, want) {
			t.Errorf("%s says %q, want %q", program, got, want)
		}
		if text, err := os.ReadFile(
			filepath.Join(unpacked, "man", "man1", page),
		); err != nil ||
			!strings.Contains(string(text), ".SH OPTIONS") {
			t.Errorf("%s: %v: %s", page, err, text)
		}
		command(t, unpacked, nil, "bash", "-n", filepath.Join("completions", program+".bash"))
	}
}
